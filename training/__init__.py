"""A folder of labelled videos to ``models/<name>/<version>/``: ``python -m training train FOLDER --name N``.

    dataset -> split -> decoding -> feeding -> fit -> checkpoint -> export -> parity -> publish

``train.py`` reads like this line, ``fit.py`` is the loop itself.
"""
