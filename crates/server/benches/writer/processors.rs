//! What the processors did: by thread of this process, and by process of another program.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Time of the processors by name of the thread, in ticks of the system
/// (proc_pid_stat(5)); empty where there is no such file.
#[derive(Default)]
pub struct Processors(BTreeMap<String, u64>);

/// What threads took that have ended since, such as those that read for a snapshot.
const ENDED: &str = "(ended)";

impl Processors {
    pub fn read() -> Self {
        let mut ticks = BTreeMap::new();
        let mut running = 0;
        for task in fs::read_dir("/proc/self/task")
            .into_iter()
            .flatten()
            .flatten()
        {
            if let Some((name, took)) = Self::of(&task.path()) {
                *ticks.entry(name).or_default() += took;
                running += took;
            }
        }
        if let Some((_, all)) = Self::of(Path::new("/proc/self")) {
            ticks.insert(ENDED.to_owned(), all.saturating_sub(running));
        }
        Self(ticks)
    }

    fn of(task: &Path) -> Option<(String, u64)> {
        let stat = fs::read_to_string(task.join("stat")).ok()?;
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11);
        let user: u64 = times.next()?.parse().ok()?;
        let system: u64 = times.next()?.parse().ok()?;
        Some((name.to_owned(), user + system))
    }

    pub fn since(self, before: &Self) -> Self {
        let took = self.0.into_iter().map(|(name, ticks)| {
            let earlier = before.0.get(&name).copied().unwrap_or_default();
            (name, ticks.saturating_sub(earlier))
        });
        Self(took.collect())
    }

    pub fn add(&mut self, more: Self) {
        for (name, ticks) in more.0 {
            *self.0.entry(name).or_default() += ticks;
        }
    }

    pub fn print(&self) {
        let all: u64 = self.0.values().sum::<u64>().max(1);
        let mut parts: Vec<(u64, &String)> = self.0.iter().map(|(name, n)| (*n, name)).collect();
        parts.sort_unstable_by(|one, other| other.cmp(one));
        let parts: Vec<String> = parts
            .into_iter()
            .map(|(ticks, name)| (ticks * 100 / all, name))
            .filter(|(share, _)| *share > 0)
            .map(|(share, name)| format!("{name} {share} %"))
            .collect();
        println!("of the time of the processors: {}", parts.join(", "));
    }
}

/// Ticks in a second, as the system counts them for programs on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// Seconds that this process took of the processors, and those of its children that have ended.
pub fn of_this_process() -> (f64, f64) {
    let times = times(Path::new("/proc/self")).unwrap_or_default();
    (times.own, times.ended_children)
}

/// Seconds that this thread took.
pub fn of_this_thread() -> f64 {
    times(Path::new("/proc/thread-self"))
        .unwrap_or_default()
        .own
}

/// Seconds that a process took with the children that it has and had.
pub fn of_tree(root: i32) -> f64 {
    let of_root = times(&Path::new("/proc").join(root.to_string())).unwrap_or_default();
    let children: f64 = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| times(&entry.path()))
        .filter(|times| times.parent == root)
        .map(|times| times.own + times.ended_children)
        .sum();
    of_root.own + of_root.ended_children + children
}

#[derive(Default)]
struct Times {
    parent: i32,
    own: f64,
    ended_children: f64,
}

/// The fields of proc_pid_stat(5) after the name: 4 ppid, 14 to 17 the times.
fn times(process: &Path) -> Option<Times> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(Times {
        parent: fields.get(1)?.parse().ok()?,
        own: (ticks(14)? + ticks(15)?) / TICKS_PER_S,
        ended_children: (ticks(16)? + ticks(17)?) / TICKS_PER_S,
    })
}
