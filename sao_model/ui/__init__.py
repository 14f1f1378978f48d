"""The page of `sao ui`: what is typed becomes a generation's config (`form`, `regions`), one sound at a time
is made (`maker`), what was made stays in a folder (`history`) and is shown (`cards`), with what the model
has heard (`heard`). Only `page` and `server` know Gradio.
"""
