//! The simulation of a device on the host.
