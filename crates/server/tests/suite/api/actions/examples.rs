use std::path::Path;

use maskline_server::api::actions::ACTIONS;
use maskline_server::api::params::{Bounds, Parameters};
use serde_json::Value;

use crate::api::client::Answer;
use crate::api::world::{EXPIRATION, World};

/// Every supported action's file opens with an example request, which works as it stands there; of
/// its example answer every member comes, and no other. The files follow from the table of actions.
#[tokio::test]
async fn examples_in_the_documentation_work() {
    for action in ACTIONS.iter().filter(|action| action.supported) {
        let example = Example::of(action.name);
        let world = World::start().await;
        let mut subs_id = String::new();
        // An example of what is done with a binding is done with that of the example of BindAxn.
        if example.request.contains("{SubsId}") || example.request.contains("{SecretNo}") {
            let bound = Example::of("BindAxn").ask(&world, &subs_id).await;
            assert_eq!(bound.code(), "OK", "{bound:?}");
            let id = &bound.json()["SecretBindDTO"]["SubsId"];
            subs_id = id.as_str().expect("an id").to_owned();
        }
        let answer = example.ask(&world, &subs_id).await;
        assert_eq!(answer.code(), "OK", "{}: {answer:?}", action.name);
        let expected = members(&example.answer);
        assert_eq!(members(&answer.json()), expected, "{}", action.name);
    }
}

/// The README, in both languages, names the actions that are served: those of the table, in its order.
#[test]
fn the_readmes_name_the_actions_that_are_served() {
    let served: Vec<&str> = ACTIONS
        .iter()
        .filter(|action| action.supported)
        .map(|action| action.name)
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (file, row, between) in [
        ("README.md", "| served | ", ", "),
        ("README.zh-CN.md", "| 已提供 | ", "、"),
    ] {
        let text = std::fs::read_to_string(root.join(file)).expect(file);
        let named = text
            .lines()
            .find_map(|line| line.strip_prefix(row)?.strip_suffix(" |"))
            .expect(file);
        assert_eq!(named, served.join(between), "{file}");
    }
}

/// The example at the beginning of an action's file.
struct Example {
    /// The query, with `{SubsId}` and `{SecretNo}` where a binding is meant.
    request: String,
    answer: Value,
}

impl Example {
    fn of(action: &str) -> Self {
        let file = format!("src/api/actions/{}.rs", snake_case(action));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        let text = std::fs::read_to_string(path).expect(&file);
        let line = |start: &str| {
            let found = text
                .lines()
                .find_map(|line| line.strip_prefix("//! ")?.strip_prefix(start));
            found
                .unwrap_or_else(|| panic!("{file} has no example"))
                .to_owned()
        };
        let answer = format!("{{{}", line("{"));
        let request = line("POST /?");
        assert!(
            request.starts_with(&format!("Action={action}&")),
            "{file} has the example of another action"
        );
        Self {
            request,
            answer: serde_json::from_str(&answer).expect(&file),
        }
    }

    /// Sends the request, as if it had been written today.
    async fn ask(&self, world: &World, subs_id: &str) -> Answer {
        let query = self
            .request
            .replace("{SubsId}", subs_id)
            .replace("{SecretNo}", "17000000000");
        let parameters =
            Parameters::parse(query.as_bytes(), b"", &Bounds::new(64 * 1024)).expect("a query");
        let pairs: Vec<_> = parameters
            .iter()
            .map(|p| match p.name.as_str() {
                "Expiration" => ("Expiration", EXPIRATION),
                name => (name, p.value.as_str()),
            })
            .collect();
        let (action, business) = pairs.split_first().expect("an action");
        world.ask(action.1, business).await
    }
}

/// `BindAxn` as the name of its file, `bind_axn`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// The names of all members, without what lists hold.
fn members(value: &Value) -> Vec<String> {
    let Value::Object(object) = value else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for (name, value) in object {
        names.push(name.clone());
        names.extend(
            members(value)
                .into_iter()
                .map(|inner| format!("{name}.{inner}")),
        );
    }
    names.sort();
    names
}
