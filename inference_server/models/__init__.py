"""Owns: scoring without a script: what a model folder holds, how a request becomes its input, how it answers.
May import: the rest of inference_server; numpy and each model's own libraries, which are the user's, only when a model is loaded.
Start reading: scoring.py (what takes the script's place), then folder.py (which kind) and payload.py (the request's forms).
"""
