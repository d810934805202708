//! Every page: for everybody, in light and dark, on a desk and on a phone, with scripts and without.

use e2e::browser::passes;

use crate::world::World;

#[test]
fn every_page_is_accessible_on_a_desk() {
    accessible("desk");
}

#[test]
fn every_page_is_accessible_at_night() {
    accessible("night");
}

#[test]
fn every_page_is_accessible_on_a_phone() {
    accessible("phone");
}

fn accessible(look: &str) {
    let mut world = World::make();
    world.given["look"] = look.into();
    passes(&world.stack, "accessible", &world.given);
}

#[test]
fn without_scripts_everything_can_be_read() {
    let world = World::make();
    passes(&world.stack, "no_scripts", &world.given);
}
