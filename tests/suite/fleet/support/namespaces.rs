//! Networks that can be cut: each node in a network namespace of its own, two bridges, one wire between them.
//!
//! Everything is made inside of a network and mount namespace that the test enters by starting itself anew, so the machine's
//! own network stays as it is, and the kernel tidies up.

use std::process::{Command, Stdio};

/// Tells the test that it was started inside.
const INSIDE: &str = "SKEIN_TEST_INSIDE";
/// The network of the nodes; the host part is the node's number.
const SUBNET: &str = "10.77.0";

/// Runs `test` in a namespace of its own, or says why that is not possible here. `name` is the test's full name.
pub(crate) fn in_a_world_of_its_own(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let entries: [&[&str]; 2] = [&["--net", "--mount"], &["--map-root-user", "--net", "--mount"]];
    let able = |entry: &&&[&str]| {
        let probe = "mount -t tmpfs tmpfs /run && ip link add name probe type bridge && ip netns add probe";
        let status = Command::new("unshare").args(**entry).args(["sh", "-c", probe]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let Some(entry) = entries.iter().find(able) else {
        eprintln!("SKIPPED: {name}: network namespaces (unshare, ip netns, bridges) are not permitted on this machine");
        return;
    };
    let own = std::env::current_exe().expect("a test knows its own path");
    let status = Command::new("unshare")
        .args(*entry)
        .arg(own)
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare starts");
    assert!(status.success(), "{name} failed inside of its namespace; its output is above");
}

/// Two groups of nodes whose connection can be cut.
#[derive(Debug)]
pub(crate) struct Networks;

impl Networks {
    /// Makes namespaces for `left + right` nodes.
    pub(crate) fn new(left: usize, right: usize) -> Self {
        run("mount --make-rprivate /");
        run("mount -t tmpfs tmpfs /run");
        run("ip link set lo up");
        for side in ["left", "right"] {
            run(&format!("ip link add name br-{side} type bridge"));
            run(&format!("ip link set br-{side} up"));
        }
        run("ip link add name cut-left type veth peer name cut-right");
        for side in ["left", "right"] {
            run(&format!("ip link set cut-{side} master br-{side} up"));
        }
        // The test reaches both sides by itself, whether they reach each other or not.
        run(&format!("ip addr add {SUBNET}.254/32 dev br-left"));
        run(&format!("ip addr add {SUBNET}.253/32 dev br-right"));
        for number in 1..=left + right {
            let side = if number <= left { "left" } else { "right" };
            run(&format!("ip netns add node-{number}"));
            run(&format!("ip link add name out-{number} type veth peer name in-{number}"));
            run(&format!("ip link set in-{number} netns node-{number}"));
            run(&format!("ip link set out-{number} master br-{side} up"));
            run(&format!("ip -n node-{number} addr add {SUBNET}.{number}/24 dev in-{number}"));
            run(&format!("ip -n node-{number} link set in-{number} up"));
            run(&format!("ip -n node-{number} link set lo up"));
            run(&format!("ip route add {SUBNET}.{number}/32 dev br-{side}"));
        }
        Self
    }

    /// For each node its host and what starts a program in its namespace.
    pub(crate) fn places(&self, nodes: usize) -> Vec<(String, Vec<String>)> {
        let place = |number: usize| {
            let words = ["ip", "netns", "exec", &format!("node-{number}")].map(str::to_owned);
            (format!("{SUBNET}.{number}"), words.to_vec())
        };
        (1..=nodes).map(place).collect()
    }

    /// Cuts the wire.
    pub(crate) fn cut(&self) {
        run("ip link set cut-left down");
    }

    /// Joins it again.
    pub(crate) fn heal(&self) {
        run("ip link set cut-left up");
    }
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let output = Command::new(words.next().expect("a command has a word")).args(words).output().expect("it starts");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}
