mod bodies;
mod checks;
mod deleting;
mod openapi;
mod restart;
mod slots;
mod world;
