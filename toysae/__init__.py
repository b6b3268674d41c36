"""toysae: do sparse autoencoders find the true features of a toy world?"""

__version__ = "0.1.0"
