//! Function calls, and the keywords that are functions.

use crate::bind::ddl::expression::normalized;
use crate::catalog::deparse::coerce::{self, Printed, settled, to_type};
use crate::catalog::deparse::expression::Printer;
use crate::catalog::quote::quote_ident;
use crate::catalog::system::procs::{self, Proc};
use crate::types::oid;
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    OrderByExpr, WindowSpec, WindowType,
};

/// Functions that are written as keywords, with what they give.
const KEYWORDS: &[(&str, u32)] = &[
    ("current_catalog", oid::NAME),
    ("current_date", oid::DATE),
    ("current_role", oid::NAME),
    ("current_schema", oid::NAME),
    ("current_time", 1266),
    ("current_timestamp", oid::TIMESTAMPTZ),
    ("current_user", oid::NAME),
    ("localtime", oid::TIME),
    ("localtimestamp", oid::TIMESTAMP),
    ("session_user", oid::NAME),
    ("user", oid::NAME),
];

/// Polymorphic types: what an argument of one is, another decides.
fn is_polymorphic(type_oid: u32) -> bool {
    matches!(type_oid, 2276 | 2277 | 2283 | 2776 | 3500 | 3831 | 4537 | 4538 | 5077..=5080)
}

impl Printer<'_> {
    pub(super) fn function(&self, function: &Function) -> Printed {
        let name = function.name.0.last().and_then(|part| part.as_ident());
        let Some(name) = name.map(normalized) else {
            return Printed::simple(function.to_string(), None);
        };
        if let FunctionArguments::None = function.args {
            let keyword = KEYWORDS.iter().find(|(keyword, _)| *keyword == name);
            let gives = keyword.map(|(_, gives)| *gives);
            return Printed::simple(name.to_uppercase(), gives);
        }
        let FunctionArguments::List(list) = &function.args else {
            if let FunctionArguments::Subquery(query) = &function.args {
                let text = format!("{}({})", name.to_uppercase(), self.subquery(query));
                return Printed::simple(text, None);
            }
            return Printed::simple(function.to_string(), None);
        };
        let mut arguments = Vec::new();
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    arguments.push(self.print(expr));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {
                    arguments.push(Printed::simple("*", None));
                }
                _ => return Printed::simple(function.to_string(), None),
            }
        }
        let (text, gives) = match name.as_str() {
            "coalesce" | "greatest" | "least" => self.alternatives(&name, arguments),
            "nullif" => {
                let gives = arguments.first().and_then(Printed::type_oid);
                (format!("NULLIF({})", joined(arguments)), gives)
            }
            _ => {
                let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
                self.plain_call(&name, arguments, distinct)
            }
        };
        let mut text = text;
        if let Some(filter) = &function.filter {
            text.push_str(&format!(" FILTER (WHERE {})", self.whole(filter)));
        }
        if let Some(over) = &function.over {
            text.push_str(&self.over(over));
        }
        Printed::simple(text, gives)
    }

    fn alternatives(&self, name: &str, arguments: Vec<Printed>) -> (String, Option<u32>) {
        let common = coerce::common(&arguments).unwrap_or(oid::wire(oid::TEXT, -1));
        let arguments = arguments.into_iter().map(|a| to_type(a, common, self.pretty)).collect();
        (format!("{}({})", name.to_uppercase(), joined(arguments)), Some(common.oid))
    }

    fn plain_call(
        &self,
        name: &str,
        arguments: Vec<Printed>,
        distinct: bool,
    ) -> (String, Option<u32>) {
        let chosen = choose(name, &arguments);
        let gives = chosen.map(|proc| proc.returns).filter(|gives| !is_polymorphic(*gives));
        let takes = chosen.map_or(&[][..], |proc| &proc.arguments);
        let coerced = arguments.into_iter().enumerate().map(|(i, argument)| {
            match takes.get(i).filter(|takes| !is_polymorphic(**takes)) {
                Some(takes) => to_type(argument, oid::wire(*takes, -1), self.pretty),
                None => settled(argument),
            }
        });
        let distinct = if distinct { "DISTINCT " } else { "" };
        let text = format!("{}({distinct}{})", quote_ident(name), joined(coerced.collect()));
        (text, gives)
    }

    fn over(&self, over: &WindowType) -> String {
        match over {
            WindowType::NamedWindow(name) => format!(" OVER {}", quote_ident(&normalized(name))),
            WindowType::WindowSpec(spec) => format!(" OVER ({})", self.window(spec)),
        }
    }

    pub(super) fn window(&self, spec: &WindowSpec) -> String {
        let mut parts = Vec::new();
        if let Some(name) = &spec.window_name {
            parts.push(quote_ident(&normalized(name)));
        }
        if !spec.partition_by.is_empty() {
            let keys = spec.partition_by.iter().map(|expr| self.whole(expr));
            parts.push(format!("PARTITION BY {}", keys.collect::<Vec<_>>().join(", ")));
        }
        if !spec.order_by.is_empty() {
            let keys = spec.order_by.iter().map(|item| self.order_item(item));
            parts.push(format!("ORDER BY {}", keys.collect::<Vec<_>>().join(", ")));
        }
        if let Some(frame) = &spec.window_frame {
            parts.push(match &frame.end_bound {
                Some(end) => format!("{} BETWEEN {} AND {end}", frame.units, frame.start_bound),
                None => format!("{} {}", frame.units, frame.start_bound),
            });
        }
        parts.join(" ")
    }

    pub(super) fn order_item(&self, item: &OrderByExpr) -> String {
        let mut text = self.whole(&item.expr);
        let descending = item.options.asc == Some(false);
        if descending {
            text.push_str(" DESC");
        }
        match (descending, item.options.nulls_first) {
            (true, Some(false)) => text.push_str(" NULLS LAST"),
            (false, Some(true)) => text.push_str(" NULLS FIRST"),
            _ => {}
        }
        text
    }

    /// SUBSTRING, POSITION, TRIM, EXTRACT; anything else as it was written.
    pub(super) fn special_call(&self, expr: &Expr) -> Printed {
        let text = oid::wire(oid::TEXT, -1);
        let as_text = |expr: &Expr| to_type(self.print(expr), text, self.pretty).text;
        match expr {
            Expr::Extract { field, expr, .. } => {
                let field = field.to_string().to_lowercase();
                let inner = self.whole(expr);
                Printed::simple(format!("EXTRACT({field} FROM {inner})"), Some(oid::NUMERIC))
            }
            Expr::Position { expr, r#in } => {
                let text = format!("POSITION(({}) IN ({}))", as_text(expr), as_text(r#in));
                Printed::simple(text, Some(oid::INT4))
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut text = format!("SUBSTRING({}", as_text(expr));
                if let Some(from) = substring_from {
                    text.push_str(&format!(" FROM {}", self.whole(from)));
                }
                if let Some(length) = substring_for {
                    text.push_str(&format!(" FOR {}", self.whole(length)));
                }
                text.push(')');
                Printed::simple(text, Some(oid::TEXT))
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let place = trim_where.map_or("BOTH".to_owned(), |place| place.to_string());
                let what = match trim_what {
                    Some(what) => format!("{} ", as_text(what)),
                    None => String::new(),
                };
                let text = format!("TRIM({place} {what}FROM {})", as_text(expr));
                Printed::simple(text, Some(oid::TEXT))
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                let value = self.print(timestamp);
                let gives = match value.type_oid() {
                    Some(oid::TIMESTAMPTZ) => Some(oid::TIMESTAMP),
                    Some(oid::TIMESTAMP) => Some(oid::TIMESTAMPTZ),
                    _ => None,
                };
                let text = format!("{} AT TIME ZONE {}", value.text, as_text(time_zone));
                Printed::simple(format!("({text})"), gives)
            }
            other => Printed::simple(other.to_string(), None),
        }
    }
}

fn joined(arguments: Vec<Printed>) -> String {
    let texts: Vec<_> = arguments.into_iter().map(|argument| argument.text).collect();
    texts.join(", ")
}

/// The function PostgreSQL would call: the one that fits the most arguments as they are.
fn choose(name: &str, arguments: &[Printed]) -> Option<&'static Proc> {
    let star = matches!(arguments, [only] if only.text == "*");
    let count = if star { 0 } else { arguments.len() };
    let candidates = procs::named(name).filter(|proc| proc.arguments.len() == count);
    let score = |proc: &&Proc| {
        let fits = proc.arguments.iter().zip(arguments).map(|(takes, argument)| {
            match argument.type_oid() {
                Some(given) if given == *takes => 4,
                Some(oid::VARCHAR) if *takes == oid::TEXT => 3,
                // An untyped literal is text if it can be.
                None if *takes == oid::TEXT => 2,
                None => 1,
                Some(_) if is_polymorphic(*takes) => 2,
                Some(_) => 0,
            }
        });
        fits.sum::<i32>()
    };
    let mut best: Option<(&'static Proc, i32)> = None;
    for candidate in candidates {
        let score = score(&candidate);
        if best.is_none_or(|(_, found)| score > found) {
            best = Some((candidate, score));
        }
    }
    best.map(|(proc, _)| proc)
}
