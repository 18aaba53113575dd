//! What is said on the control socket: types, where the socket is, a blocking client.
