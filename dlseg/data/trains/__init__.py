"""Trains: drawn scenes in which accuracy against distance shows how far a network looks.

| classes | told apart by | what a network needs |
|---|---|---|
| train A, train B | the colour of 7 px at one end of a bar of 20 to 122 px | a field as long |
| house day, house night | the one sun or moon of the picture | the whole picture |
| stripes, checks | texture of 4 px | fine texture |
| background | a smooth field | |
| 255 | the rims of things, as in Pascal VOC, and a pixel more | to be ignored |

Each train is A or B by chance, but that the As of a scene are none, two or four. So whoever sees
one, two, even three other engines knows nothing of a fourth, unless he reckons that their number
is even; and whoever only counts, as a mean over the picture does, is right about 5 of 8 trains: all
of them where all are alike, in 1 scene of 4, and half of them where two are A. All bars are grey,
and of any length; which end has the engine is drawn by lot. So a pixel of a bar is A or B by chance
for whoever does not see its engine, and the share that is right at each distance can be computed
beforehand from what a network reads.

Limits. Trains run across; `turned` lays every second scene on its side, `bend` curves the tracks.
Long distances are as rare as long trains, though lengths are drawn so that they are common.
"""

from dlseg.data.trains.counts import train_card
from dlseg.data.trains.datasets import Trains
from dlseg.data.trains.drawing import TRAIN_CLASSES, TrainScene, draw_trains
