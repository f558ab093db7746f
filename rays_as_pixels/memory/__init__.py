"""How much memory a run needs, predicted before anything is loaded, and how to make it fit."""
