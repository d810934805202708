//! The codes of all diagnostics and evaluation errors: stable, never reused, each with a page in docs/errors.md.

use crate::example::Example;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $title:literal, $help:literal;)+) => {
        /// What is wrong, as a stable code. FH01: the text; FH02: keys and values; FH03: names and the graph;
        /// FH04: expressions; FH05: types and absence; FH06: trust; FH07: evaluation in a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Each code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// `FH0301`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// A short name for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// Why it is an error and what to do about it.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }

            /// How it happens and how it is put right.
            #[must_use]
            pub fn example(self) -> Example {
                Example::read(match self {
                    $(Self::$variant => include_str!(concat!("../examples/", $code, ".txt")),)+
                })
            }
        }
    };
}

codes! {
    /// The source is larger than `limits::DEFINITION_BYTES`.
    TooLarge = "FH0101", "the definition is too large",
        "A definition has at most 1 MiB. Split it into several workflows, or move data out of it into an input.";
    /// It is not YAML.
    Syntax = "FH0102", "not YAML",
        "The text cannot be read as YAML (JSON is YAML too). Reading stops at the first such place. Tabs do not indent; a text with `: ` or ` #` in it needs quotes.";
    /// A key is there twice in a map.
    DuplicateKey = "FH0103", "a key is there twice",
        "Each key may stand once in a map; otherwise one of the two values would be lost without a word. Remove or rename one.";
    /// An anchor or an alias.
    Alias = "FH0104", "anchors and aliases are not read",
        "`&name` and `*name` are not read: a few lines of them grow into gigabytes. Write the value out, or make it an input. A text that begins with & or * needs quotes.";
    /// A tag like `!!str`.
    Tag = "FH0105", "tags are not read",
        "A tag such as `!!str` or `!custom` is not read. Quote a value to make it text; a text that begins with ! needs quotes.";
    /// A key that is no text.
    KeyNotText = "FH0106", "a key must be text",
        "Keys are texts. Quote a number, `true` or `null` that is meant as a text.";
    /// The merge key `<<`.
    MergeKey = "FH0107", "merge keys are not read",
        "`<<` is not read: what a step does should stand in the step. Write the keys out.";
    /// Nested beyond bound.
    TooDeep = "FH0108", "nested too deeply",
        "Lists and maps may stand in each other 32 levels deep, which is far more than a workflow needs.";
    /// No document, or several.
    Documents = "FH0109", "not one document",
        "A definition is exactly one YAML document with a map at its top. Split several (`---`) into a file each.";
    /// More errors or warnings than are shown.
    TooMany = "FH0110", "too many errors",
        "At most 200 errors and warnings of a file are shown, errors before warnings. Fix some and compile again.";
    /// The file cannot be read.
    Unreadable = "FH0111", "the file cannot be read",
        "The file does not exist, is a directory without definitions, or may not be read by you. The other files of the same command are checked nevertheless.";
    /// The file is not UTF-8.
    Encoding = "FH0112", "not UTF-8",
        "A definition is UTF-8 text, with or without a byte order mark. Save the file as UTF-8, or convert it with `iconv`.";

    /// A key that the language does not have.
    UnknownKey = "FH0201", "unknown key",
        "A key that the language does not have would be ignored, and what it was meant to do would not happen. The nearest known key is suggested.";
    /// A required key is missing.
    MissingKey = "FH0202", "a key is missing",
        "The named key is required here; nothing is assumed in its place.";
    /// A value of another kind.
    WrongKind = "FH0203", "a value of another kind is expected",
        "The key takes a map, a list, a text, a number or a bool, and another kind was found. Text that looks like a number needs quotes.";
    /// A value outside of what is allowed.
    BadValue = "FH0204", "a value that is not allowed",
        "The key takes one of a few words or a number within bounds.";
    /// No duration.
    BadDuration = "FH0205", "not a duration",
        "A duration is a number with its unit: 500ms, 20s, 5m, 1h. A bare number is refused, since its unit could only be guessed.";
    /// No size.
    BadSize = "FH0206", "not a size",
        "Memory is a number with its unit: 64MiB, 512MB, 1GiB. Processor time is in cores (0.5, 2) or thousandths (500m).";
    /// A name that is not well formed.
    BadName = "FH0207", "not a well-formed name",
        "Keys of steps are [a-z][a-z0-9_-]*, at most 63 characters; inputs and outputs [a-z][a-z0-9_]*; environment names [A-Za-z_][A-Za-z0-9_]* without the prefix FIREHALL_; labels [a-z][a-z0-9_.-]*.";
    /// Planned, not built.
    NotSupported = "FH0208", "not supported yet",
        "The language has this key, this version of Firehall does not do it yet. It is refused, so that no part of the workflow is left out without a word.";
    /// Keys that exclude each other.
    Conflict = "FH0209", "keys that exclude each other",
        "A step is either an action (`uses`, `with`) or a container (`image` with `run` or `command`), and fans out by `foreach` or by `follow`.";
    /// No type.
    BadType = "FH0210", "unknown type",
        "Types are bool, int, float, string, json, list<T> and map<T>.";
    /// Too many steps or none.
    StepCount = "FH0211", "the number of steps",
        "A workflow has between 1 and 10,000 steps. For many alike use `foreach`.";
    /// A default or an allowed value that does not fit.
    BadDefault = "FH0212", "a value that does not fit its type",
        "A default and each value of `enum` must have the input's type, and the default must be one of `enum`.";
    /// Two keys that an expression cannot tell apart.
    KeysCoincide = "FH0213", "two keys that an expression cannot tell apart",
        "In an expression `-` is written `_`, so `a-b` and `a_b` are the same name there. Rename one.";
    /// A container without an image.
    ImageMissing = "FH0214", "a container step needs an image",
        "`image` says what the step runs in; nothing is assumed. `image: host` is the agent's own system, read-only.";

    /// No such step.
    UnknownStep = "FH0301", "unknown step",
        "No step has this key. In an expression `-` is written `_`.";
    /// No such input.
    UnknownInput = "FH0302", "unknown input",
        "The workflow declares no input of this name. Declare it under `inputs`.";
    /// No such output.
    UnknownOutput = "FH0303", "unknown output",
        "The step declares no output of this name. A container's outputs are declared under its `outputs`; an action's are in its signature (`firehall actions`).";
    /// No such action.
    UnknownAction = "FH0304", "unknown action",
        "No action of this name is in the catalogue. `firehall actions` lists them.";
    /// No such parameter.
    UnknownParam = "FH0305", "unknown parameter",
        "The action has no parameter of this name. The nearest of its parameters is suggested.";
    /// A required parameter is missing.
    MissingParam = "FH0306", "a parameter is missing",
        "The action cannot run without this parameter, and its signature has no default for it.";
    /// A name that is not there in this place.
    UnknownName = "FH0307", "unknown name",
        "Expressions read `inputs`, `trigger`, `steps`, `run`, within a fan-out `each`, and in `on.alert.when` only `alert`. Text needs quotes inside an expression.";
    /// A step's key with a hyphen in an expression.
    Hyphen = "FH0308", "a hyphen in an expression is a minus",
        "`steps.create-war-room` reads as a subtraction. Write `steps.create_war_room`.";
    /// A step that needs itself.
    SelfReference = "FH0309", "a step needs itself",
        "A step cannot wait for its own end, nor read its own outputs.";
    /// Steps that wait for each other.
    Cycle = "FH0310", "steps wait for each other",
        "The steps wait for each other in a circle, so none could start. Remove one of the shown edges; an expression that reads a step's outputs is an edge too.";
    /// `follow` of what has no items.
    NotFanOut = "FH0311", "only a fan-out can be followed",
        "`follow` takes steps with `foreach`: it consumes their items as they finish.";
    /// A record has no such field.
    UnknownField = "FH0312", "unknown field",
        "The value's type has no field of this name. The nearest of its fields is suggested.";
    /// A fan-out has items, another step outputs.
    ItemsOrOutputs = "FH0313", "items or outputs",
        "A step with `foreach` or `follow` has `items`, a list of {index, value, outcome, outputs?}; another step has `outputs`.";
    /// A name that is no value by itself.
    NotAValue = "FH0314", "not a value by itself",
        "`steps`, `trigger`, `each`, `inputs` and a step's name only lead to values: read a field of them.";
    /// An artifact that no step keeps.
    UnknownArtifact = "FH0315", "unknown artifact",
        "`artifact: STEP.NAME` names what an earlier step without a fan-out declares in its `artifacts`. The nearest known name is suggested.";

    /// An expression cannot be read.
    BadExpression = "FH0401", "not an expression",
        "Expressions are CEL: `a.b`, `a[0]`, `x == 'text' && y > 3`, `test ? yes : no`, `x in [1, 2]`, `list.filter(x, x.ok)`.";
    /// An expression beyond bounds.
    ExpressionLimit = "FH0402", "an expression beyond its bounds",
        "An expression has at most 2 KiB, 32 levels of nesting and one of all, exists, filter and map.";
    /// No such function.
    UnknownFunction = "FH0403", "unknown function",
        "Functions are has, default, size, join, string, int, double, slug, one_of, agent_host and, in `when`, succeeded, degraded, failed, always, cancelled; texts have startsWith, endsWith, contains, lowerAscii, upperAscii, trim, replace, split; lists have all, exists, filter, map.";
    /// An expression in `run`.
    RunExpression = "FH0404", "`run` takes no expression",
        "Text put into a script would be executed: an alert's title could run commands. Pass the value by `env` and read it as \"$NAME\".";
    /// A status function outside of `when`.
    StatusElsewhere = "FH0405", "a status function outside of `when`",
        "succeeded(), degraded(), failed(), always() and cancelled() say how this step's needs ended; they stand in a step's `when` only.";
    /// An expression where none is read.
    NoExpression = "FH0406", "no expression is read here",
        "Expressions are read in `with`, `env`, `image`, `command`, `runs-on` and `foreach`; `when` takes one without ${{ }}. Everything else is fixed when the workflow is compiled.";
    /// `${{` without `}}`.
    Unclosed = "FH0407", "an expression without its end",
        "`${{` begins an expression and `}}` ends it.";
    /// `when: ${{ … }}`.
    WhenBraces = "FH0408", "`when` is an expression already",
        "Write `when: steps.a.outputs.ok` without ${{ }}.";
    /// A text that looks like an expression of another system.
    LooksLike = "FH0409", "a text that looks like an expression",
        "Only `${{ … }}` is an expression; `{{ inputs.x }}` and `${inputs.x}` are texts and are passed on as they stand. This is a warning: the definition compiles.";

    /// A type that does not fit.
    Mismatch = "FH0501", "a type that does not fit",
        "The value has another type than the place takes. int(), double() and string() convert; inside a text, join() makes one of a list.";
    /// An operator that does not take these types.
    Operator = "FH0502", "an operator or function that does not take these types",
        "Arithmetic and order take two numbers or two texts, `&&`, `||`, `!` and `?` take bools, `in` a list or a map. No value changes its type by itself.";
    /// A value that may be absent.
    MayBeAbsent = "FH0503", "a value that may be absent",
        "The value is not there in every run: its step may be skipped or may fail, or its field is optional. Say what happens then: `default(x, y)`, or `has(x) ? x : y`, or `has(x) && …`.";

    /// An untrusted value reaches a sink.
    Untrusted = "FH0601", "an untrusted value would steer the system",
        "What comes from an alert, a container's output or json is written by outsiders. It may be data, but not choose an image, a command, an agent, a channel or a query. Clean it first: slug(x), one_of(x, [\"a\", \"b\"]), agent_host(x) for `runs-on`.";
    /// A cleaner fed with an untrusted list.
    UntrustedList = "FH0602", "the allowed values must be trusted",
        "one_of(x, list) makes x trusted because it equals one of the list's values; the list itself must then come from the author, not from an outsider.";

    /// An expression's text cannot be read.
    EvalSyntax = "FH0701", "evaluation: not an expression",
        "The plan holds a text that is no expression. A compiled plan never does; it was made by hand or by another version.";
    /// A value is absent.
    EvalAbsent = "FH0702", "evaluation: a value is absent",
        "A field, a key or an index is not there in this run. Say what happens then: `default(x, y)` or `has(x) ? x : y`.";
    /// A value has another type than the operator takes.
    EvalType = "FH0703", "evaluation: a value of another type",
        "Only json values can have a type that the compiler did not see. Check it first, or declare the output's type.";
    /// Arithmetic without a result.
    EvalNumber = "FH0704", "evaluation: arithmetic without a result",
        "Division by zero, an int beyond 64 bits, a float that is not finite, or a text that is no number.";
    /// Too many steps or bytes.
    EvalBudget = "FH0705", "evaluation: too much work",
        "The evaluation takes more steps or builds more bytes than an expression may. Move the work into a step.";
    /// A cleaner refuses.
    EvalCleaner = "FH0706", "evaluation: a cleaner refuses the value",
        "slug(), one_of() or agent_host() met a value that it cannot make trusted. The step or the item fails; `allow-failure` lets the run go on.";
    /// The result is too large.
    EvalSize = "FH0707", "evaluation: the value is too large",
        "A value has at most 256 KiB. Pass a smaller part of it.";
}

/// What a code means and what to do, by its name (`FH0301`).
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    Code::named(code).map(Code::help)
}

impl Code {
    /// By its name, in upper or lower case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|code| code.as_str().eq_ignore_ascii_case(name))
    }
}
