"""The exercise of the contents page, on which readers try the mechanism."""

from dlseg.book import Exercise, Mistake

number_of_taps = Exercise(
    solution=9,
    because="A 3x3 kernel has nine taps at every rate.",
    mistakes=(
        Mistake(25, "That is the number of pixels under the kernel at rate 2. Count the dots."),
        Mistake(18, "Dots and rings together. The rings belong to the neighbouring output."),
        Mistake(3, "That is one row of dots."),
    ),
)
