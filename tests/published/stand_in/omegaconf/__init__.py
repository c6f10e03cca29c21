import _stand_in

_stand_in.take_place(__name__)
