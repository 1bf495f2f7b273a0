"""The machinery of the book: pictures, explorers, exercises, the manifest and its commands."""

from dlseg import lazy_face

__getattr__, __dir__, __all__ = lazy_face(
    __name__,
    {
        "exercise": "Exercise Mistake Verdict in_pairs",
        "explorer": "Explorer",
        "manifest": "find_root read_book",
        "picture": "Picture from_figure from_svg",
        "predict": "Predict",
        "source": "shown_source",
        "style": (
            "BLUE CYCLE FAINT GREEN INK MARKERS MORE ORANGE PAPER PURPLE RED SIGNED SKY new_figure "
            "show_image"
        ),
    },
)
