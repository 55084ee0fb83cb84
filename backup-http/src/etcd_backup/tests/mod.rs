mod adoption;
mod download;
mod list;
mod naming;
mod openapi;
mod save;
mod source;
mod world;
