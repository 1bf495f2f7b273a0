"""The teaching data: drawn scenes in which each class isolates one problem that DeepLab solves.

| classes | told apart by | what a network needs |
|---|---|---|
| stripes, dots | texture of period 4-6 px, radius 3.5-30 px | fine texture at every scale |
| plate A, plate B | a small mark at the centre only, warm or cold | context of the object's size |
| star | six spikes that run out to a point | boundaries, for a decoder or a CRF |
| ring, wire | curves 3 px thin; the wire is open, black or white | localisation |
| lamp A, lamp B | the colour of the one lit cross of the picture | context of the picture's size |
| background | a smooth field with soft blobs | |
| 255 | one rectangle of random pixels per portion of 96x96 px | to be ignored |

Colours are random, but differ from all of the background by 0.3 (of 1) in a channel at least; the
noise has a deviation of 0.04. Outlines are anti-aliased; labels say whether a pixel's centre lies
inside. Things with a mark, lamps and textures do not cover each other; rings and wires pass below.

Limits. Everything is flat, seen from above, and its sizes do not depend on its class as they do in
photographs; there is no light, no texture in the background, and no label is wrong. A network that
is good here need not be good on photographs: compare ideas with it, not products. The share of
large things is a little lower than drawn by lot, because they find room less often.
"""

from dlseg.data.scenes.counts import Card, card, cue_distance, found_by_radius, letter_accuracy
from dlseg.data.scenes.datasets import PALETTE, SPLITS, Clip, Scenes
from dlseg.data.scenes.drawing import CLASSES, IGNORE_INDEX, Scene, draw_scene
