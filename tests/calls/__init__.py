"""Calls between real peers: sipp, baresip softphones and Kamailio, each on an address of its own."""
