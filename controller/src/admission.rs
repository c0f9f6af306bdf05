// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Admission of connections to a listener.
//!
//! A listener has a limit of connections in total and a smaller one per address. Connections over a
//! limit do not queue: they are served from a small reserve, which answers only health checks and
//! host reports.
//!
//! Idle connections must not keep other clients out. When all slots are taken, a new connection
//! replaces one that has not sent a request yet, or one of the address that holds the most slots,
//! as long as the new one's address holds fewer (max-min fairness). A full reserve always makes
//! room.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::config::ConnectionLimits;
use crate::limits::block;

/// Number of reserve connections.
const RESERVE: usize = 128;

/// Open connections of one listener.
pub(crate) struct ConnectionLimiter {
    limits: ConnectionLimits,
    open: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    served: Connections,
    reserve: Connections,
    last: u64,
}

/// Connections, oldest first.
#[derive(Default)]
struct Connections(VecDeque<OpenConnection>);

struct OpenConnection {
    number: u64,
    address: IpAddr,
    /// A proxy: its connections belong to many clients.
    trusted: bool,
    begun: Arc<AtomicBool>,
    /// Dropping it closes the connection.
    _keep: oneshot::Sender<()>,
}

/// The slot of an admitted connection; released on drop.
pub(crate) struct Admission {
    limiter: Arc<ConnectionLimiter>,
    number: u64,
    pub(crate) slot: ConnectionSlot,
}

/// State of a connection slot.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSlot {
    /// Whether it belongs to the reserve.
    pub(crate) reserve: bool,
    begun: Arc<AtomicBool>,
}

impl ConnectionSlot {
    /// Records that the client has sent a complete request head.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }
}

impl ConnectionLimiter {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    /// Returns the number of open connections.
    pub(crate) fn open(&self) -> usize {
        let open = self.lock();
        open.served.0.len() + open.reserve.0.len()
    }

    /// Admits a connection from `address`. The receiver ends when the connection has to be closed.
    /// `trusted`: a proxy, exempt from the limit per address.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        trusted: bool,
    ) -> (Admission, oneshot::Receiver<()>) {
        let address = block(address);
        let mut open = self.lock();
        let OpenConnections { served, reserve, last } = &mut *open;
        let of_address = served.count_of(address);
        let allowed = trusted || of_address < self.limits.per_address;
        let room = allowed
            && (served.0.len() < self.limits.all
                || served.close(1, |connection| !connection.begun.load(Ordering::Relaxed))
                || served.close(of_address + 2, |connection| !connection.trusted));
        if !room && reserve.0.len() >= RESERVE {
            reserve.close(1, |_| true);
        }
        *last += 1;
        let (keep, ended) = oneshot::channel();
        let begun = Arc::new(AtomicBool::new(false));
        let connection = OpenConnection {
            number: *last,
            address,
            trusted,
            begun: Arc::clone(&begun),
            _keep: keep,
        };
        (if room { served } else { reserve }).0.push_back(connection);
        let slot = ConnectionSlot { reserve: !room, begun };
        (Admission { limiter: Arc::clone(self), number: *last, slot }, ended)
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Returns the number of connections of `address`.
    fn count_of(&self, address: IpAddr) -> usize {
        self.0.iter().filter(|connection| connection.address == address).count()
    }

    /// Closes the oldest of the connections that `may_close` accepts, of the address with the most
    /// of them, if it has `at_least` so many. Returns whether it did.
    fn close(&mut self, at_least: usize, may_close: impl Fn(&OpenConnection) -> bool) -> bool {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for connection in self.0.iter().filter(|connection| may_close(connection)) {
            *counts.entry(connection.address).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let Some((address, _)) = most.filter(|(_, count)| *count >= at_least) else {
            return false;
        };
        let oldest = self
            .0
            .iter()
            .position(|connection| connection.address == address && may_close(connection));
        oldest.and_then(|oldest| self.0.remove(oldest)).is_some()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.limiter.lock();
        let OpenConnections { served, reserve, .. } = &mut *open;
        let connections = if self.slot.reserve { reserve } else { served };
        connections.0.retain(|connection| connection.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn host(n: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))
    }

    /// Admits a connection and lets it send a request.
    fn busy(limiter: &Arc<ConnectionLimiter>, n: u8) -> (Admission, oneshot::Receiver<()>) {
        let admitted = limiter.admit(host(n), false);
        admitted.0.slot.begin();
        admitted
    }

    fn is_open(ended: &mut oneshot::Receiver<()>) -> bool {
        ended.try_recv() == Err(oneshot::error::TryRecvError::Empty)
    }

    #[test]
    fn an_address_is_limited_and_a_proxy_is_not() {
        let limiter = ConnectionLimiter::new(ConnectionLimits { all: 4, per_address: 2 });
        let connections: Vec<_> = (0..2).map(|_| busy(&limiter, 1)).collect();
        assert!(connections.iter().all(|(admission, _)| !admission.slot.reserve));
        assert!(limiter.admit(host(1), false).0.slot.reserve);
        let other = busy(&limiter, 2);
        assert!(!other.0.slot.reserve);
        let proxy = limiter.admit(host(1), true);
        assert!(!proxy.0.slot.reserve);
        proxy.0.slot.begin();
        assert_eq!(limiter.open(), 4);
        drop((connections, other, proxy));
        assert_eq!(limiter.open(), 0);
    }

    #[test]
    fn a_connection_without_a_request_gives_way() {
        let limiter = ConnectionLimiter::new(ConnectionLimits { all: 4, per_address: 4 });
        let mut transfer = busy(&limiter, 1);
        let mut idle: Vec<_> = (0..3).map(|_| limiter.admit(host(2), false)).collect();
        let mut host_read = busy(&limiter, 3);
        assert!(!host_read.0.slot.reserve);
        assert!(is_open(&mut transfer.1) && is_open(&mut host_read.1));
        assert_eq!(
            idle.iter_mut().map(|(_, ended)| is_open(ended)).collect::<Vec<_>>(),
            [false, true, true]
        );
    }

    #[test]
    fn slots_are_shared_fairly_between_addresses() {
        let limiter = ConnectionLimiter::new(ConnectionLimits { all: 4, per_address: 4 });
        let mut flood: Vec<_> = (0..4).map(|_| busy(&limiter, 1)).collect();
        let hosts: Vec<_> = (0..2).map(|_| busy(&limiter, 2)).collect();
        assert!(hosts.iter().all(|(admission, _)| !admission.slot.reserve));
        assert_eq!(
            flood.iter_mut().map(|(_, ended)| is_open(ended)).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        drop(flood.drain(..2));
        // Both hold two: neither can displace the other.
        assert!(busy(&limiter, 1).0.slot.reserve && busy(&limiter, 2).0.slot.reserve);
    }

    #[test]
    fn connections_of_a_proxy_are_not_counted_against_it() {
        let limiter = ConnectionLimiter::new(ConnectionLimits { all: 4, per_address: 4 });
        let mut proxy: Vec<_> = (0..4).map(|_| limiter.admit(host(1), true)).collect();
        for (admission, _) in &proxy {
            admission.slot.begin();
        }
        assert!(busy(&limiter, 2).0.slot.reserve);
        assert!(proxy.iter_mut().all(|(_, ended)| is_open(ended)));
    }

    #[test]
    fn a_full_reserve_closes_a_connection_of_its_largest_user() {
        let limiter = ConnectionLimiter::new(ConnectionLimits { all: 0, per_address: 1 });
        let (_report, mut report_ended) = limiter.admit(host(1), false);
        let mut flood: Vec<_> = (0..3 * RESERVE).map(|_| limiter.admit(host(2), false)).collect();
        assert_eq!(limiter.open(), RESERVE);
        assert!(is_open(&mut report_ended));
        assert!(is_open(&mut flood.last_mut().unwrap().1));
        assert!(!is_open(&mut flood.first_mut().unwrap().1));
        drop(flood);
        assert_eq!(limiter.open(), 1);
    }
}
