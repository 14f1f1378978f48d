"""Rules that leave out of texts what says nothing of the sound: one named rule each, in a stated order.

`order` hands out the rules of each field and `cleaned`, which applies them and says what each took out.
"""
