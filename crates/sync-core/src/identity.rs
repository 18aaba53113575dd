//! Which UUID a project has on this machine when no tool gave it one.

use std::path::Path;

use uuid::Uuid;

use crate::ids::{LocalId, MachineId};

/// The UUID of the project at `root`: UUIDv5 (RFC 9562 §5.5) in the machine's namespace over the bytes of the
/// canonical path. The same machine and place give the same UUID again, even when the database is lost.
pub fn local_id(machine: MachineId, root: &Path) -> LocalId {
    LocalId(Uuid::new_v5(&machine.0, root.as_os_str().as_encoded_bytes()))
}

/// The UUID of a new project at `root` where one that was there took the UUID `taken` along.
pub(crate) fn next_id(taken: LocalId, root: &Path) -> LocalId {
    local_id(MachineId(taken.0), root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_and_place_decide() {
        let machine = MachineId(Uuid::from_u128(7));
        let id = local_id(machine, Path::new("/home/u/api"));
        assert_eq!(id.to_string(), "7eb40eab-457d-53cc-91a3-73ec835f2d3d");
        assert_ne!(id, local_id(machine, Path::new("/home/u/ap")));
        assert_ne!(id, local_id(MachineId(Uuid::from_u128(8)), Path::new("/home/u/api")));
    }
}
