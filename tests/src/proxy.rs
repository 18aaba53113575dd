//! A network that misbehaves between the daemon and the dev cloud: TCP that is cut, held up, reset, shortened, doubled.
//!
//! Every request meets what the dice or a test say, once. Nothing takes longer than its bound, so that a test that
//! waits for the end of it does not wait for ever. It knows nothing of what the messages mean.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::message::Message;

/// What goes wrong with one request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mischief {
    /// The connection ends before the request reached the cloud.
    CutBefore,
    /// The cloud answers, and the connection ends before the answer's first byte.
    CutAfter,
    /// The connection ends in the middle of the answer.
    CutInAnswer,
    /// As `CutBefore`, with a reset.
    ResetBefore,
    /// As `CutAfter`, with a reset.
    ResetAfter,
    /// As `CutInAnswer`, with a reset.
    ResetInAnswer,
    /// The request is held up. It is lost when whoever sent it hangs up meanwhile.
    StallBefore,
    /// The answer is held up.
    StallAfter,
    /// The answer lacks its end, and its head agrees with what is left.
    Truncate,
    /// The request reaches the cloud twice; one of the answers comes back.
    Twice,
    /// The answer comes in very small pieces.
    Trickle,
}

impl Mischief {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::CutBefore,
        Self::CutAfter,
        Self::CutInAnswer,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::ResetInAnswer,
        Self::StallBefore,
        Self::StallAfter,
        Self::Truncate,
        Self::Twice,
        Self::Trickle,
    ];
}

/// Whether there is a way at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// There is.
    Up,
    /// Whoever comes is turned away at once.
    Refusing,
    /// Whatever is sent is swallowed, and nothing comes back.
    Silent,
}

/// The longest the network is silent on purpose.
const LONGEST_STALL: Duration = Duration::from_secs(2);
/// An answer that trickles comes in at most so many pieces, a millisecond apart.
const PIECES: usize = 400;
/// What is not on purpose: a side that neither sends nor closes.
const DEAD: Duration = Duration::from_mins(1);
/// How often a wait looks whether it is still wanted.
const GLANCE: Duration = Duration::from_millis(10);

/// The network, on a port of its own.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    cloud: SocketAddr,
    /// How often in a hundred a request meets some mischief.
    chance: AtomicU64,
    stop: AtomicBool,
    plot: Mutex<Plot>,
}

#[derive(Debug)]
struct Plot {
    link: Link,
    dice: Dice,
    /// What the next requests meet, whatever the dice say.
    next: VecDeque<Mischief>,
    tally: BTreeMap<Option<Mischief>, u64>,
}

/// What a request meets, with all the chance that it takes.
#[derive(Debug)]
struct Fortune {
    mischief: Option<Mischief>,
    stall: Duration,
    /// Where in an answer, in thousandths.
    place: u64,
    second_answer: bool,
}

impl Proxy {
    /// Puts a network before the cloud; it behaves until it is told otherwise.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(cloud: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let plot =
            Plot { link: Link::Up, dice: Dice::new(seed), next: VecDeque::new(), tally: BTreeMap::new() };
        let shared = Arc::new(Shared {
            cloud,
            chance: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            plot: Mutex::new(plot),
        });
        let known = Arc::clone(&shared);
        let listener = std::thread::spawn(move || known.listen(&listener));
        Self { address, shared, listener: Some(listener) }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on so many in a hundred requests meet some mischief; 0 is good weather.
    pub fn weather(&self, percent: u64) {
        self.shared.chance.store(percent, Ordering::SeqCst);
    }

    /// From now on the way is like this; a request that was swallowed is lost even when it is up again.
    pub fn link(&self, link: Link) {
        self.shared.plot().link = link;
    }

    /// The next requests meet these, in this order, whatever the weather.
    pub fn next(&self, mischief: &[Mischief]) {
        self.shared.plot().next.extend(mischief);
    }

    /// How many requests met what, and under `None` how many passed untouched.
    pub fn tally(&self) -> BTreeMap<Option<Mischief>, u64> {
        self.shared.plot().tally.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the listener, which looks at `stop` first.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take()
            && !std::thread::panicking()
        {
            assert!(listener.join().is_ok(), "the proxy panicked");
        }
    }
}

impl Shared {
    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        let mut open: Vec<JoinHandle<()>> = Vec::new();
        for stream in listener.incoming() {
            if self.stopped() {
                break;
            }
            let Ok(stream) = stream else { continue };
            if self.plot().link == Link::Refusing {
                drop(reset(&stream));
                continue;
            }
            let shared = Arc::clone(self);
            // How a connection ends is the business of its two sides.
            let thread = std::thread::spawn(move || drop(shared.serve(stream)));
            let (ended, going): (Vec<_>, Vec<_>) = open.into_iter().partition(JoinHandle::is_finished);
            open = going;
            open.push(thread);
            for thread in ended {
                assert!(thread.join().is_ok(), "a connection panicked");
            }
        }
        for thread in open {
            assert!(thread.join().is_ok(), "a connection panicked");
        }
    }

    /// Passes the requests of one connection on, until one of them ends it.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        client.set_write_timeout(Some(DEAD))?;
        while self.speaks(&client)? {
            client.set_read_timeout(Some(DEAD))?;
            let Some(request) = Message::read(&mut client)? else { break };
            let link = self.plot().link;
            match link {
                Link::Up => {}
                Link::Refusing => {
                    reset(&client)?;
                    break;
                }
                Link::Silent => {
                    self.wait_while(&client, || self.plot().link == Link::Silent)?;
                    break;
                }
            }
            let fortune = self.plot().throw(self.chance.load(Ordering::SeqCst));
            if !self.pass(&mut client, &request, &fortune)? {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the other side says something or goes, or the proxy ends. No second handle of the connection is kept
    /// for that end: a connection closes with its last one.
    fn speaks(&self, client: &TcpStream) -> io::Result<bool> {
        client.set_read_timeout(Some(GLANCE))?;
        while !self.stopped() {
            match client.peek(&mut [0]) {
                Err(error) if is_silence(&error) => {}
                spoken => return spoken.map(|count| count > 0),
            }
        }
        Ok(false)
    }

    /// Whether the connection goes on.
    fn pass(&self, client: &mut TcpStream, request: &Message, fortune: &Fortune) -> io::Result<bool> {
        let Some(mischief) = fortune.mischief else {
            client.write_all(&self.ask(request)?.bytes())?;
            return Ok(true);
        };
        match mischief {
            Mischief::CutBefore => return Ok(false),
            Mischief::ResetBefore => return reset(client),
            Mischief::StallBefore if !self.stall(client, fortune.stall)? => return Ok(false),
            Mischief::StallBefore
            | Mischief::CutAfter
            | Mischief::CutInAnswer
            | Mischief::ResetAfter
            | Mischief::ResetInAnswer
            | Mischief::StallAfter
            | Mischief::Truncate
            | Mischief::Twice
            | Mischief::Trickle => {}
        }
        let answer = self.ask(request)?;
        // At least its first byte, and never its last.
        let part = |whole: usize| {
            let place = whole * usize::try_from(fortune.place).unwrap_or(0) / 1_000;
            place.clamp(1, whole.saturating_sub(1).max(1)).min(whole)
        };
        let bytes = answer.bytes();
        match mischief {
            Mischief::CutBefore | Mischief::ResetBefore | Mischief::CutAfter => Ok(false),
            Mischief::ResetAfter => reset(client),
            Mischief::CutInAnswer => {
                client.write_all(&bytes[..part(bytes.len())])?;
                Ok(false)
            }
            Mischief::ResetInAnswer => {
                client.write_all(&bytes[..part(bytes.len())])?;
                reset(client)
            }
            Mischief::StallAfter => {
                if self.stall(client, fortune.stall)? {
                    client.write_all(&bytes)?;
                }
                Ok(false)
            }
            Mischief::StallBefore => {
                client.write_all(&bytes)?;
                Ok(true)
            }
            Mischief::Truncate => {
                client.write_all(&answer.truncated(part(answer.body.len())).bytes())?;
                Ok(true)
            }
            Mischief::Twice => {
                let second = self.ask(request)?;
                client.write_all(&if fortune.second_answer { second.bytes() } else { bytes })?;
                Ok(true)
            }
            Mischief::Trickle => {
                for piece in bytes.chunks(bytes.len().div_ceil(PIECES).max(1)) {
                    client.write_all(piece)?;
                    if self.stopped() {
                        return Ok(false);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(true)
            }
        }
    }

    fn ask(&self, request: &Message) -> io::Result<Message> {
        let mut cloud = TcpStream::connect(self.cloud)?;
        cloud.set_nodelay(true)?;
        cloud.set_read_timeout(Some(DEAD))?;
        cloud.write_all(&request.bytes())?;
        Message::read(&mut cloud)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Is silent for so long; whether somebody still waits afterwards.
    #[expect(clippy::disallowed_methods, reason = "the network has no clock but the machine's")]
    fn stall(&self, client: &TcpStream, length: Duration) -> io::Result<bool> {
        let until = Instant::now() + length;
        self.wait_while(client, || Instant::now() < until)
    }

    /// Is silent while something is so; whether somebody still waits afterwards.
    fn wait_while(&self, client: &TcpStream, is: impl Fn() -> bool) -> io::Result<bool> {
        client.set_read_timeout(Some(GLANCE))?;
        while is() {
            if self.stopped() {
                return Ok(false);
            }
            match client.peek(&mut [0]) {
                Ok(0) => return Ok(false),
                // It speaks again without having been answered; that is its business.
                Ok(_) => std::thread::sleep(GLANCE),
                Err(error) if is_silence(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn plot(&self) -> MutexGuard<'_, Plot> {
        self.plot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plot {
    fn throw(&mut self, chance: u64) -> Fortune {
        // The same number of throws whatever comes of them, so that a seed means the same in any weather.
        let (meets, which) = (self.dice.percent(chance), *self.dice.one_of(&Mischief::ALL));
        let longest = u64::try_from(LONGEST_STALL.as_millis()).unwrap_or(u64::MAX);
        let stall = Duration::from_millis(1 + self.dice.below(longest));
        let (place, second_answer) = (self.dice.below(1_000), self.dice.percent(50));
        let mischief = self.next.pop_front().or(meets.then_some(which));
        *self.tally.entry(mischief).or_default() += 1;
        Fortune { mischief, stall, place, second_answer }
    }
}

/// Whether a read ended because its time was over.
fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Ends a connection with a reset: whatever is still on its way is forgotten.
fn reset(client: &TcpStream) -> io::Result<bool> {
    rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO))?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};

    use super::*;

    const ANSWER: &str = "{\"answer\": \"to everything\"}";

    /// A cloud that answers everything and keeps what it was asked.
    struct Server {
        address: SocketAddr,
        asked: Arc<Mutex<Vec<Message>>>,
    }

    impl Server {
        fn start() -> Self {
            let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let asked = Arc::new(Mutex::new(Vec::new()));
            let book = Arc::clone(&asked);
            // Ends with the process.
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    if let Some(request) = Message::read(&mut stream).unwrap() {
                        book.lock().unwrap().push(request);
                        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", ANSWER.len());
                        stream.write_all(format!("{head}{ANSWER}").as_bytes()).unwrap();
                    }
                }
            });
            Self { address, asked }
        }

        fn asked(&self) -> usize {
            self.asked.lock().unwrap().len()
        }
    }

    /// What a client sees of one request.
    #[derive(Debug, PartialEq)]
    enum Seen {
        Answer(String),
        Closed,
        Cut,
        Reset,
        Nothing,
    }

    fn ask(stream: &mut TcpStream, patience: Duration) -> Seen {
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi").unwrap();
        match Message::read(stream) {
            Ok(Some(message)) => Seen::Answer(String::from_utf8(message.body).unwrap()),
            Ok(None) => Seen::Closed,
            Err(error) if is_silence(&error) => Seen::Nothing,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Seen::Cut,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                Seen::Reset
            }
        }
    }

    /// One request through a network that does this once: what the client sees, and how often the cloud was asked.
    fn check(mischief: Mischief, expected: &[Seen], asked: usize) {
        let server = Server::start();
        let proxy = Proxy::start(server.address, 3);
        proxy.next(&[mischief]);
        let mut client = TcpStream::connect(proxy.address).unwrap();
        let seen = ask(&mut client, DEAD);
        assert!(expected.contains(&seen), "{mischief:?}: {seen:?}");
        assert_eq!(server.asked(), asked, "{mischief:?}");
        let mut again = TcpStream::connect(proxy.address).unwrap();
        assert_eq!(ask(&mut again, DEAD), Seen::Answer(ANSWER.to_owned()), "only once");
        assert_eq!(proxy.tally(), BTreeMap::from([(Some(mischief), 1), (None, 1)]));
    }

    #[test]
    fn each_mischief_is_what_its_name_says() {
        let whole = || Seen::Answer(ANSWER.to_owned());
        check(Mischief::CutBefore, &[Seen::Closed], 0);
        check(Mischief::CutAfter, &[Seen::Closed], 1);
        check(Mischief::CutInAnswer, &[Seen::Cut], 1);
        check(Mischief::ResetBefore, &[Seen::Reset], 0);
        check(Mischief::ResetAfter, &[Seen::Reset], 1);
        // What was on its way when the reset came may be read or not.
        check(Mischief::ResetInAnswer, &[Seen::Reset, Seen::Cut], 1);
        check(Mischief::StallBefore, &[whole()], 1);
        check(Mischief::StallAfter, &[whole()], 1);
        check(Mischief::Twice, &[whole()], 2);
        check(Mischief::Trickle, &[whole()], 1);
        let server = Server::start();
        let proxy = Proxy::start(server.address, 3);
        proxy.next(&[Mischief::Truncate]);
        let seen = ask(&mut TcpStream::connect(proxy.address).unwrap(), DEAD);
        let Seen::Answer(body) = seen else { panic!("{seen:?}") };
        assert!(!body.is_empty() && body.len() < ANSWER.len() && ANSWER.starts_with(&body), "{body}");
    }

    #[test]
    fn a_request_whose_sender_hangs_up_while_it_is_held_up_is_lost() {
        let is_lost = || {
            let server = Server::start();
            let proxy = Proxy::start(server.address, 3);
            proxy.next(&[Mischief::StallBefore]);
            let mut client = TcpStream::connect(proxy.address).unwrap();
            let seen = ask(&mut client, Duration::from_millis(1));
            drop(client);
            let mut again = TcpStream::connect(proxy.address).unwrap();
            assert_eq!(ask(&mut again, DEAD), Seen::Answer(ANSWER.to_owned()));
            drop(proxy);
            seen == Seen::Nothing && server.asked() == 1
        };
        // The machine may stand still for as long as it is held up.
        assert!((0..5).any(|_| is_lost()));
    }

    #[test]
    fn a_way_that_is_down_turns_away_or_swallows_until_it_is_up_again() {
        let server = Server::start();
        let proxy = Proxy::start(server.address, 3);
        let mut kept = TcpStream::connect(proxy.address).unwrap();
        assert_eq!(ask(&mut kept, DEAD), Seen::Answer(ANSWER.to_owned()));
        proxy.link(Link::Silent);
        let mut silent = TcpStream::connect(proxy.address).unwrap();
        assert_eq!(ask(&mut silent, Duration::from_millis(30)), Seen::Nothing);
        proxy.link(Link::Refusing);
        assert_eq!(ask(&mut kept, DEAD), Seen::Reset);
        let refused = TcpStream::connect(proxy.address);
        let told = refused.and_then(|mut stream| stream.read(&mut [0])).map_err(|error| error.kind());
        assert_eq!(told, Err(ErrorKind::ConnectionReset));
        proxy.link(Link::Up);
        // What was swallowed is lost.
        silent.set_read_timeout(Some(DEAD)).unwrap();
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
        let mut again = TcpStream::connect(proxy.address).unwrap();
        assert_eq!(ask(&mut again, DEAD), Seen::Answer(ANSWER.to_owned()));
        assert_eq!(server.asked(), 2);
    }

    #[test]
    fn one_connection_carries_many_requests_in_good_weather() {
        let server = Server::start();
        let proxy = Proxy::start(server.address, 3);
        let mut client = TcpStream::connect(proxy.address).unwrap();
        for _ in 0..3 {
            assert_eq!(ask(&mut client, DEAD), Seen::Answer(ANSWER.to_owned()));
        }
        assert_eq!((server.asked(), proxy.tally()), (3, BTreeMap::from([(None, 3)])));
    }

    #[test]
    fn the_same_seed_makes_the_same_weather_and_every_mischief_comes() {
        let plot = |seed| Plot {
            link: Link::Up,
            dice: Dice::new(seed),
            next: VecDeque::new(),
            tally: BTreeMap::new(),
        };
        let thrown = |seed| {
            let mut plot = plot(seed);
            for _ in 0..1_000 {
                assert!(plot.throw(40).stall <= LONGEST_STALL);
            }
            plot.tally
        };
        assert_eq!(thrown(5), thrown(5));
        assert_ne!(thrown(5), thrown(6));
        assert_eq!(thrown(5).len(), Mischief::ALL.len() + 1);
        let mut calm = plot(5);
        assert!((0..100).all(|_| calm.throw(0).mischief.is_none()));
    }

    #[test]
    fn a_network_without_a_cloud_behind_it_closes() {
        let nobody = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let proxy = Proxy::start(nobody, 3);
        let mut client = TcpStream::connect(proxy.address).unwrap();
        assert_eq!(ask(&mut client, DEAD), Seen::Closed);
        let mut rest = Vec::new();
        assert_eq!(client.read_to_end(&mut rest).unwrap(), 0);
    }
}
