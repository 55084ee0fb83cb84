//! Nothing: these packages only pin a version of the etcd server.
