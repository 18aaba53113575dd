//! Notices that the network of this machine changed, without ever polling.
//!
//! The kernel's own notices are only counted as "something changed"; what it was does not matter: the cloud is then
//! tried, and that tells more than any guess about links and addresses.

use std::time::Duration;

use crate::engine::Engine;

/// One change comes as several notices; they are taken together.
const STORM: Duration = Duration::from_millis(50);

/// Wakes the delivery loop when links, addresses or routes change, until the daemon stops.
///
/// # Errors
/// None: where the system tells nothing, the delivery loop's own probes have to do.
pub(crate) async fn network(engine: Engine) -> Result<(), String> {
    let stop = engine.stop();
    let mut ear = ear::Ear::new();
    if ear.is_none() {
        tracing::debug!("the system tells nothing of the network; the way to the cloud is probed instead");
    }
    loop {
        tokio::select! {
            () = stop.finishing() => return Ok(()),
            heard = listen(ear.as_ref()) => {
                if let Err(error) = heard {
                    tracing::debug!(%error, "the system's notices of the network ended");
                    ear = None;
                    continue;
                }
            }
        }
        tokio::select! {
            () = stop.finishing() => return Ok(()),
            () = tokio::time::sleep(STORM) => {}
        }
        if let Some(ear) = &ear {
            ear.drain();
        }
        engine.network_changed();
    }
}

async fn listen(ear: Option<&ear::Ear>) -> std::io::Result<()> {
    match ear {
        Some(ear) => ear.heard().await,
        None => std::future::pending().await,
    }
}

mod ear {
    //! A socket on which the kernel tells of the network: netlink on Linux, the routing socket on macOS and the BSDs.

    use std::io;
    use std::os::fd::OwnedFd;

    use tokio::net::unix::pipe::Receiver;

    /// Listens. The socket is read like a pipe, so the runtime is given it as one.
    #[derive(Debug)]
    pub(super) struct Ear(Receiver);

    impl Ear {
        /// `None` where the system gives no such socket.
        pub(super) fn new() -> Option<Self> {
            socket()
                .and_then(Receiver::from_owned_fd_unchecked)
                .inspect_err(|error| tracing::debug!(%error, "no notices of the network"))
                .ok()
                .map(Self)
        }

        /// Returns when something was told.
        pub(super) async fn heard(&self) -> io::Result<()> {
            loop {
                self.0.readable().await?;
                if self.read()? {
                    return Ok(());
                }
            }
        }

        /// Takes in all that was told meanwhile.
        pub(super) fn drain(&self) {
            while matches!(self.read(), Ok(true)) {}
        }

        /// Whether something was told.
        fn read(&self) -> io::Result<bool> {
            let mut notice = [0_u8; 8192];
            match self.0.try_read(&mut notice) {
                Ok(length) => Ok(length > 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
                // The kernel dropped notices because there were too many: that is news too.
                Err(error) if error.raw_os_error() == Some(NO_BUFFERS) => Ok(true),
                Err(error) => Err(error),
            }
        }
    }

    const NO_BUFFERS: i32 = rustix::io::Errno::NOBUFS.raw_os_error();

    #[cfg(target_os = "linux")]
    fn socket() -> io::Result<OwnedFd> {
        use rustix::net::netlink::SocketAddrNetlink;
        use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

        // RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE of rtnetlink(7): an
        // address is of little use before the route that comes after it.
        const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(socket)
    }

    #[cfg(not(target_os = "linux"))]
    fn socket() -> io::Result<OwnedFd> {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        use rustix::io::{FdFlags, fcntl_setfd};
        use rustix::net::{AddressFamily, SocketType, socket};

        let socket = socket(AddressFamily::ROUTE, SocketType::RAW, None)?;
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        fcntl_setfl(&socket, fcntl_getfl(&socket)? | OFlags::NONBLOCK)?;
        Ok(socket)
    }
}
