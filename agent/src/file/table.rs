//! One table's values with their meaning, and what is wrong with them.

use std::{collections::BTreeMap, fmt::Display};

use node::config::{Place, Problem, Setting, Table, Tables};
use types::Pattern;

pub(super) struct Reader<'a> {
    pub(super) tables: &'a Tables,
    pub(super) problems: &'a mut Vec<Problem>,
    pub(super) places: &'a mut BTreeMap<String, Place>,
}

impl<'a> Reader<'a> {
    pub(super) fn table(&self, path: &[&str]) -> Option<&'a Table> {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        self.tables.get(&path)
    }

    /// The names below a table, with theirs.
    pub(super) fn named(&self, above: &str) -> Vec<(&'a str, &'a Table)> {
        let two = |path: &&'a Vec<String>| path.len() == 2 && path[0] == above;
        let paths = self.tables.iter().filter(|(path, _)| two(path));
        paths.map(|(path, table)| (path[1].as_str(), table)).collect()
    }

    pub(super) fn wrong(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem {
            place: place.clone(),
            message: message.into(),
            help: help.into(),
        });
    }

    /// A value with a meaning of its own; its place is noted under `rule`.
    pub(super) fn value<T, E: Display>(
        &mut self,
        table: Option<&'a Table>,
        (key, rule): (&str, impl Display),
        help: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let setting = self.setting(table, key, &rule)?;
        match parse(setting.values.first().map_or("", String::as_str)) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(&setting.place, format!("{rule}: {why}"), help);
                None
            }
        }
    }

    /// As [`Self::value`], for each of a list.
    pub(super) fn list<T, E: Display>(
        &mut self,
        table: Option<&'a Table>,
        (key, rule): (&str, impl Display),
        help: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let setting = self.setting(table, key, &rule)?;
        let mut values = Vec::new();
        for text in &setting.values {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(why) => self.wrong(&setting.place, format!("{rule}: {why}"), help),
            }
        }
        Some(values)
    }

    pub(super) fn patterns(
        &mut self,
        table: Option<&'a Table>,
        (key, rule): (&str, impl Display),
    ) -> Option<Vec<Pattern>> {
        self.list(
            table,
            (key, rule),
            "a name, in which * stands for any characters",
            |text| {
                let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
                if !text.is_empty() && text.len() <= 512 && plain {
                    Ok(Pattern::new(text))
                } else {
                    Err(format!(
                        "{text:?} is no pattern: 1 to 512 ASCII characters without a space"
                    ))
                }
            },
        )
    }

    fn setting(&mut self, table: Option<&'a Table>, key: &str, rule: &impl Display) -> Option<&'a Setting> {
        let setting = table?.keys.get(key)?;
        self.places.insert(rule.to_string(), setting.place.clone());
        Some(setting)
    }
}
