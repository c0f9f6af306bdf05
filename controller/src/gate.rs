// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Admission of connections to a listener.
//!
//! A listener has a limit of connections in total and a smaller one per address. Connections over a
//! limit do not queue: they are served from a small reserve, which answers only health checks and
//! host reports. When the reserve is full, the oldest connection of the address with the most
//! reserve connections is closed, so idle connections cannot block requests.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::config::ConnectionLimits;
use crate::limits::block;

/// Number of reserve connections.
const RESERVE: usize = 128;

/// Connection counter of one listener.
pub(crate) struct Gate {
    limits: ConnectionLimits,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    served: usize,
    by_address: HashMap<IpAddr, usize>,
    reserve: VecDeque<Reserved>,
    last: u64,
}

struct Reserved {
    number: u64,
    address: IpAddr,
    /// Dropping it closes the connection.
    _keep: oneshot::Sender<()>,
}

/// A slot of an admitted connection; released on drop.
pub(crate) struct Admission {
    gate: Arc<Gate>,
    place: Place,
}

enum Place {
    Served(IpAddr),
    Reserve(u64),
}

impl Gate {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    /// Returns the number of open connections.
    pub(crate) fn open(&self) -> usize {
        let open = self.lock();
        open.served + open.reserve.len()
    }

    /// Admits a connection from `address`. For a reserve connection, also returns a receiver that
    /// ends when the connection has to be closed. `trusted`: a proxy, exempt from the limit per
    /// address.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        trusted: bool,
    ) -> (Admission, Option<oneshot::Receiver<()>>) {
        let address = block(address);
        let mut open = self.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or_default();
        let room =
            open.served < self.limits.all && (trusted || of_address < self.limits.per_address);
        let admission = |place| Admission { gate: Arc::clone(self), place };
        if room {
            open.served += 1;
            *open.by_address.entry(address).or_default() += 1;
            return (admission(Place::Served(address)), None);
        }
        if open.reserve.len() >= RESERVE {
            open.make_room();
        }
        let (keep, ended) = oneshot::channel();
        open.last += 1;
        let number = open.last;
        open.reserve.push_back(Reserved { number, address, _keep: keep });
        (admission(Place::Reserve(number)), Some(ended))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Closes the oldest reserve connection of the address that has the most.
    fn make_room(&mut self) {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for reserved in &self.reserve {
            *counts.entry(reserved.address).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address);
        let oldest = self.reserve.iter().position(|reserved| Some(reserved.address) == most);
        if let Some(oldest) = oldest {
            self.reserve.remove(oldest);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.gate.lock();
        match self.place {
            Place::Served(address) => {
                open.served = open.served.saturating_sub(1);
                if let Some(count) = open.by_address.get_mut(&address) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        open.by_address.remove(&address);
                    }
                }
            }
            Place::Reserve(number) => open.reserve.retain(|reserved| reserved.number != number),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn host(n: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))
    }

    #[test]
    fn an_address_is_limited_and_a_proxy_is_not() {
        let gate = Gate::new(ConnectionLimits { all: 4, per_address: 2 });
        let held: Vec<_> = (0..2).map(|_| gate.admit(host(1), false)).collect();
        assert!(held.iter().all(|(_, ended)| ended.is_none()));
        assert!(gate.admit(host(1), false).1.is_some());
        let (other, ended) = gate.admit(host(2), false);
        assert!(ended.is_none());
        let (proxy, ended) = gate.admit(host(1), true);
        assert!(ended.is_none());
        // The total is exhausted, for proxies too.
        assert!(gate.admit(host(3), false).1.is_some() && gate.admit(host(3), true).1.is_some());
        assert_eq!(gate.open(), 4);
        drop((held, other, proxy));
        assert_eq!(gate.open(), 0);
        assert!(gate.lock().by_address.is_empty());
    }

    #[test]
    fn a_full_reserve_closes_a_connection_of_its_largest_user() {
        let gate = Gate::new(ConnectionLimits { all: 0, per_address: 1 });
        let (_report, mut report_ended) = gate.admit(host(1), false);
        let mut flood: Vec<_> = (0..3 * RESERVE).map(|_| gate.admit(host(2), false)).collect();
        assert_eq!(gate.open(), RESERVE);
        let is_open = |ended: &mut Option<oneshot::Receiver<()>>| {
            ended.as_mut().unwrap().try_recv() == Err(oneshot::error::TryRecvError::Empty)
        };
        assert!(is_open(&mut report_ended));
        assert!(is_open(&mut flood.last_mut().unwrap().1));
        assert!(!is_open(&mut flood.first_mut().unwrap().1));
        drop(flood);
        assert_eq!(gate.open(), 1);
    }
}
