"""Adapters: small sets of weights that change a model's transformer (LoRA, DoRA, rsLoRA), through peft.

peft does the maths. Here are the settings of their training (`settings`), the layers (`layers`), the folders
they lie in (`folders`), how a training learns them (`learning`), how a model is used with several of them
(`attached`), what is asked for on a command line (`reference`), and diffusers' layout (`foreign`).

peft takes seconds to import: that is done inside functions only.
"""
