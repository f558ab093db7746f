"""How much memory a run needs, known before anything is loaded; how to fit it."""
