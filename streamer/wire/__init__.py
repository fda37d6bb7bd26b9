"""What publisher and reader share: the wire format ``vistr-masks``, endpoints, keys."""
