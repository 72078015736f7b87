"""Values that serializers of a schema registry wrote: finding their schema, and decoding them."""
