//! From tokens to a tree, with bounded nesting.

use types::{Value, limits};

use super::{
    ast::{BinaryOp, Kind, Macro, Node, Span},
    functions::Function,
    lex::{Token, tokens},
};

/// The highest tree: chains like `a + b + c` grow one level a link without nesting.
const HEIGHT: usize = 128;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) kind: SyntaxKind,
    /// The way out.
    pub(crate) help: Option<String>,
    /// What probably belongs in the place.
    pub(crate) replacement: Option<&'static str>,
}

/// What kind of error it is, for the diagnostic's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyntaxKind {
    Syntax,
    Limit,
    UnknownFunction,
}

impl SyntaxError {
    pub(crate) fn at(start: usize, end: usize, message: impl Into<String>) -> Self {
        Self {
            span: Span { start, end },
            message: message.into(),
            kind: SyntaxKind::Syntax,
            help: None,
            replacement: None,
        }
    }

    /// With the way out, and what belongs in the place instead.
    pub(crate) fn but(mut self, help: impl Into<String>, replacement: Option<&'static str>) -> Self {
        self.help = Some(help.into());
        self.replacement = replacement;
        self
    }

    fn of(kind: SyntaxKind, span: Span, message: impl Into<String>) -> Self {
        Self {
            kind,
            ..Self::at(span.start, span.end, message)
        }
    }
}

/// Reads an expression.
///
/// # Errors
/// The first thing that is wrong: syntax, a limit, an unknown function.
pub(crate) fn parse(source: &str) -> Result<Node, SyntaxError> {
    if source.len() > limits::EXPRESSION_BYTES {
        let message = format!(
            "this expression has {} bytes; at most {} are allowed",
            source.len(),
            limits::EXPRESSION_BYTES
        );
        let span = Span {
            start: 0,
            end: source.len(),
        };
        return Err(SyntaxError::of(SyntaxKind::Limit, span, message));
    }
    let mut parser = Parser {
        tokens: tokens(source)?,
        at: 0,
        depth: 0,
        comprehensions: 0,
    };
    if parser.peek() == &Token::End {
        return Err(SyntaxError::at(0, source.len(), "the expression is empty"));
    }
    let node = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser {
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
    comprehensions: usize,
}

type Parsed = Result<Node, SyntaxError>;

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        let last = self.tokens.last().map_or(Span::default(), |(_, span)| *span);
        self.tokens.get(self.at).map_or(last, |(_, span)| *span)
    }

    fn advance(&mut self) -> (Token, Span) {
        let span = self.span();
        let token = self.peek().clone();
        self.at += 1;
        (token, span)
    }

    fn take(&mut self, sign: &'static str) -> Option<Span> {
        (self.peek() == &Token::Sign(sign)).then(|| self.advance().1)
    }

    fn expect(&mut self, sign: &'static str) -> Result<Span, SyntaxError> {
        self.take(sign)
            .ok_or_else(|| self.unexpected(&format!("`{sign}`")))
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        let found = match self.peek() {
            Token::Name(name) => format!("`{name}`"),
            Token::Int(_) | Token::Float(_) => "a number".to_owned(),
            Token::Text(_) => "a text".to_owned(),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end".to_owned(),
        };
        let span = self.span();
        let error = SyntaxError::at(span.start, span.end, format!("expected {wanted}, found {found}"));
        let word = match self.peek() {
            Token::Name(name) => name.as_str(),
            _ => "",
        };
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        if matches!(before, Some((Token::Name(name), _)) if name == "not") {
            return error.but("`not x` is written `!x`", None);
        }
        match word {
            "and" => error.but("write `&&`", Some("&&")),
            "or" => error.but("write `||`", Some("||")),
            "not" => error.but("write `!`", Some("!")),
            "is" | "eq" => error.but("write `==`", Some("==")),
            "ne" => error.but("write `!=`", Some("!=")),
            "if" | "then" | "else" => error.but("a choice is written `test ? yes : no`", None),
            _ => error,
        }
    }

    fn node(&self, span: Span, kind: Kind) -> Parsed {
        let mut node = Node {
            span,
            height: 1,
            kind,
        };
        node.height = 1 + node.children().iter().map(|n| n.height).max().unwrap_or(0);
        if node.height > HEIGHT {
            let message = format!("this expression is more than {HEIGHT} operators high");
            return Err(SyntaxError::of(SyntaxKind::Limit, span, message));
        }
        Ok(node)
    }

    /// Guards each way into recursion.
    fn nested(&mut self, run: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > limits::EXPRESSION_DEPTH {
            let message = format!("more than {} levels of nesting", limits::EXPRESSION_DEPTH);
            return Err(SyntaxError::of(SyntaxKind::Limit, self.span(), message));
        }
        let result = run(self);
        self.depth -= 1;
        result
    }

    fn expression(&mut self) -> Parsed {
        self.nested(|this| {
            let test = this.binary(0)?;
            if this.take("?").is_none() {
                return Ok(test);
            }
            let yes = this.expression()?;
            this.expect(":")?;
            let no = this.expression()?;
            let span = test.span.to(no.span);
            let (test, yes, no) = (Box::new(test), Box::new(yes), Box::new(no));
            this.node(span, Kind::Ternary { test, yes, no })
        })
    }

    fn binary(&mut self, above: u8) -> Parsed {
        let mut left = self.unary()?;
        while let Some(op) = self.operator().filter(|op| op.precedence() > above) {
            self.advance();
            let right = self.binary(op.precedence())?;
            let span = left.span.to(right.span);
            let (l, right) = (Box::new(left), Box::new(right));
            left = self.node(span, Kind::Binary { op, left: l, right })?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<BinaryOp> {
        Some(match self.peek() {
            Token::Name(name) if name == "in" => BinaryOp::In,
            Token::Sign(sign) => match *sign {
                "||" => BinaryOp::Or,
                "&&" => BinaryOp::And,
                "==" => BinaryOp::Equal,
                "!=" => BinaryOp::NotEqual,
                "<" => BinaryOp::Less,
                "<=" => BinaryOp::LessEqual,
                ">" => BinaryOp::Greater,
                ">=" => BinaryOp::GreaterEqual,
                "+" => BinaryOp::Add,
                "-" => BinaryOp::Subtract,
                "*" => BinaryOp::Multiply,
                "/" => BinaryOp::Divide,
                "%" => BinaryOp::Remainder,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn unary(&mut self) -> Parsed {
        if let Some(start) = self.take("!") {
            let of = self.nested(Self::unary)?;
            return self.node(start.to(of.span), Kind::Not(Box::new(of)));
        }
        if let Some(start) = self.take("-") {
            if let Token::Int(value) = *self.peek() {
                let (_, span) = self.advance();
                let negative = 0_i64.checked_sub_unsigned(value).ok_or_else(|| {
                    SyntaxError::at(start.start, span.end, format!("-{value} does not fit 64 bits"))
                })?;
                let literal = self.node(start.to(span), Kind::Literal(negative.into()))?;
                return self.postfix(literal);
            }
            let of = self.nested(Self::unary)?;
            return self.node(start.to(of.span), Kind::Negate(Box::new(of)));
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut node: Node) -> Parsed {
        loop {
            if self.take(".").is_some() {
                let (name, name_span) = self.name()?;
                node = if self.take("(").is_some() {
                    self.method(node, &name, name_span)?
                } else {
                    let span = node.span.to(name_span);
                    let of = Box::new(node);
                    self.node(span, Kind::Field { of, name, name_span })?
                };
            } else if self.take("[").is_some() {
                let index = self.expression()?;
                let end = self.expect("]")?;
                let span = node.span.to(end);
                let (of, index) = (Box::new(node), Box::new(index));
                node = self.node(span, Kind::Index { of, index })?;
            } else {
                return Ok(node);
            }
        }
    }

    fn name(&mut self) -> Result<(String, Span), SyntaxError> {
        match self.peek() {
            Token::Name(_) => match self.advance() {
                (Token::Name(name), span) => Ok((name, span)),
                (_, span) => Err(SyntaxError::at(span.start, span.end, "expected a name")),
            },
            _ => Err(self.unexpected("a name")),
        }
    }

    fn method(&mut self, target: Node, name: &str, name_span: Span) -> Parsed {
        if let Some(kind) = Macro::named(name) {
            return self.comprehension(target, kind, name_span);
        }
        let function = Function::method(name).ok_or_else(|| unknown(name, name_span, true))?;
        let mut args = self.items(")")?;
        let end = self.expect(")")?;
        let span = target.span.to(end);
        args.insert(0, target);
        self.call(span, function, args)
    }

    fn comprehension(&mut self, of: Node, kind: Macro, name_span: Span) -> Parsed {
        self.comprehensions += 1;
        if self.comprehensions > 1 {
            let message = format!(
                "one of all, exists, filter and map is allowed in an expression, and .{}() is the second; \
                 put one of them into a step's parameter or output",
                kind.as_str()
            );
            return Err(SyntaxError::of(SyntaxKind::Limit, name_span, message));
        }
        let (variable, _) = self.name()?;
        self.expect(",")?;
        let body = self.expression()?;
        let end = self.expect(")")?;
        let span = of.span.to(end);
        let (of, body) = (Box::new(of), Box::new(body));
        self.node(
            span,
            Kind::Comprehension {
                of,
                kind,
                variable,
                body,
            },
        )
    }

    fn call(&self, span: Span, function: Function, args: Vec<Node>) -> Parsed {
        let wanted = function.arity();
        if !wanted.contains(&args.len()) {
            let message = format!("{}; {} given", function.usage(), args.len());
            return Err(SyntaxError::at(span.start, span.end, message));
        }
        self.node(span, Kind::Call { function, args })
    }

    fn items(&mut self, close: &'static str) -> Result<Vec<Node>, SyntaxError> {
        let mut items = Vec::new();
        while self.peek() != &Token::Sign(close) {
            items.push(self.expression()?);
            if self.take(",").is_none() {
                break;
            }
        }
        Ok(items)
    }

    fn primary(&mut self) -> Parsed {
        let (token, span) = match self.peek() {
            Token::Sign("(" | "[" | "{")
            | Token::Name(_)
            | Token::Int(_)
            | Token::Float(_)
            | Token::Text(_) => self.advance(),
            _ => return Err(self.unexpected("a value")),
        };
        let literal = |value: Value| Kind::Literal(value);
        match token {
            Token::Sign("(") => {
                let node = self.expression()?;
                self.expect(")")?;
                Ok(node)
            }
            Token::Sign("[") => {
                let items = self.items("]")?;
                let end = self.expect("]")?;
                self.node(span.to(end), Kind::List(items))
            }
            Token::Sign(_) => self.map(span),
            Token::Int(value) => match i64::try_from(value) {
                Ok(value) => self.node(span, literal(value.into())),
                Err(_) => Err(SyntaxError::at(
                    span.start,
                    span.end,
                    format!("{value} does not fit an int of 64 bits"),
                )),
            },
            Token::Float(value) => self.node(span, literal(value.into())),
            Token::Text(value) => self.node(span, literal(value.into())),
            Token::Name(name) => match name.as_str() {
                "true" => self.node(span, literal(true.into())),
                "false" => self.node(span, literal(false.into())),
                "null" => self.node(span, literal(Value::Null)),
                "in" => Err(SyntaxError::at(
                    span.start,
                    span.end,
                    "`in` stands between two values",
                )),
                _ if self.take("(").is_some() => self.global(&name, span),
                _ => self.node(span, Kind::Name(name)),
            },
            Token::End => Err(self.unexpected("a value")),
        }
    }

    fn map(&mut self, start: Span) -> Parsed {
        let mut entries = Vec::new();
        while self.peek() != &Token::Sign("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if self.take(",").is_none() {
                break;
            }
        }
        let end = self.expect("}")?;
        self.node(start.to(end), Kind::Map(entries))
    }

    fn global(&mut self, name: &str, name_span: Span) -> Parsed {
        if name == "has" {
            let inner = self.expression()?;
            let end = self.expect(")")?;
            let span = name_span.to(end);
            return match inner.kind {
                Kind::Field { .. } => self.node(span, Kind::Has(Box::new(inner))),
                _ => Err(SyntaxError::at(
                    inner.span.start,
                    inner.span.end,
                    "has() takes a field: has(steps.parse.outputs.incident.monitor)",
                )),
            };
        }
        let function = Function::global(name).ok_or_else(|| unknown(name, name_span, false))?;
        let args = self.items(")")?;
        let end = self.expect(")")?;
        self.call(name_span.to(end), function, args)
    }
}

fn unknown(name: &str, span: Span, method: bool) -> SyntaxError {
    let known = Function::names(method);
    let dot = if method { "." } else { "" };
    let error = SyntaxError::of(
        SyntaxKind::UnknownFunction,
        span,
        format!("there is no function {dot}{name}()"),
    );
    let elsewhere = ELSEWHERE.iter().find(|(there, _)| *there == name);
    let near = elsewhere
        .map(|(_, here)| *here)
        .filter(|here| known.contains(here))
        .or_else(|| crate::nearest(name, known.iter().copied()));
    match near {
        Some(near) => error.but(format!("did you mean {dot}{near}()?"), Some(near)),
        None if Function::names(!method).contains(&name) => error.but(
            if method {
                format!("write {name}(x, …)")
            } else {
                format!("write x.{name}(…)")
            },
            None,
        ),
        None => error.but(format!("known: {}", known.join(", ")), None),
    }
}

/// What functions are called elsewhere, and here.
const ELSEWHERE: [(&str, &str); 14] = [
    ("success", "succeeded"),
    ("failure", "failed"),
    ("len", "size"),
    ("length", "size"),
    ("count", "size"),
    ("str", "string"),
    ("toString", "string"),
    ("number", "double"),
    ("coalesce", "default"),
    ("lower", "lowerAscii"),
    ("toLowerCase", "lowerAscii"),
    ("upper", "upperAscii"),
    ("any", "exists"),
    ("includes", "contains"),
];
