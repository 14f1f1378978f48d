"""Parts of the transformer's training: the model it begins with, what a batch becomes, what is learned."""
