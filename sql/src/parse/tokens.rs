//! PostgreSQL's spellings that sqlparser does not read, respelled before it reads them.
//!
//! Only words that cannot change an answer are left out: ONLY (no table inherits from another), the KEY of row
//! locks (a lock is on the whole row here), DEFERRABLE (of serializable transactions only). ABORT is ROLLBACK.
//! OVERRIDING is taken out and told apart. `TABLE t` as a query is `SELECT * FROM t`. Strings on lines of their own are
//! one, as the SQL standard has it. `.*` behind a bracket is a field that is called `*`. The types of a `map(k, v)` are
//! strings, and an assignment to a map's key is one to the map.

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Whitespace, Word};

/// INSERT … OVERRIDING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    /// Values given for GENERATED ALWAYS columns are taken.
    SystemValue,
    /// Values given for identity columns are not taken.
    UserValue,
}

/// A text's tokens as sqlparser reads them.
pub struct Respelled {
    /// The tokens.
    pub tokens: Vec<TokenWithSpan>,
    /// Where OVERRIDING stood.
    pub overriding: Vec<(Location, Overriding)>,
}

/// Respells a text's tokens.
pub fn respell(mut tokens: Vec<TokenWithSpan>) -> Respelled {
    part_signs(&mut tokens);
    super::map_types::respell(&mut tokens);
    super::map_assignments::respell(&mut tokens);
    let places: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let mut dropped = vec![false; tokens.len()];
    let mut overriding = Vec::new();
    let mut renamed = Vec::new();
    // The word the statement starts with, and whether it begins a block.
    let mut begins_block = false;
    let (mut inserts, mut expanded) = (false, Vec::new());
    join_strings(&mut tokens, &places, &mut dropped);
    name_all_fields(&mut tokens, &places);
    for at in 0..places.len() {
        let word = |n: usize| places.get(n).and_then(|place| plain_word(&tokens[*place].token));
        let is = |n: usize, wanted: &str| word(n).is_some_and(|w| w.eq_ignore_ascii_case(wanted));
        let mut drop = |n: usize| dropped[places[n]] = true;
        if at == 0 || tokens[places[at - 1]].token == Token::SemiColon {
            let sets = is(at, "SET") && (is(at + 1, "TRANSACTION") || is(at + 1, "SESSION"));
            begins_block = is(at, "BEGIN") || is(at, "START") || sets;
            inserts = is(at, "INSERT");
            if is(at, "ABORT") {
                renamed.push(places[at]);
            }
        }
        if is(at, "TABLE") && is_query(&tokens, &places, at, inserts) {
            expanded.push(places[at]);
        } else if is(at, "FROM") && at > 1 && is_trim(&tokens, &places, at) {
            drop(at);
        } else if is(at, "ONLY") && at > 0 && (is(at - 1, "FROM") || is(at - 1, "UPDATE")) {
            let named = places
                .get(at + 1)
                .is_some_and(|next| matches!(tokens[*next].token, Token::Word(_) | Token::LParen));
            if named && !is(at + 1, "SET") {
                drop(at);
            }
        } else if let Some(operator) = quantified_operator(&tokens, &places, at) {
            (at..operator).for_each(&mut drop);
            drop(operator + 1);
        } else if is(at, "OVERRIDING") && is(at + 2, "VALUE") {
            let kind = match (is(at + 1, "SYSTEM"), is(at + 1, "USER")) {
                (true, _) => Overriding::SystemValue,
                (_, true) => Overriding::UserValue,
                _ => continue,
            };
            overriding.push((tokens[places[at]].span.start, kind));
            (at..at + 3).for_each(drop);
        } else if is(at, "FOR") && is(at + 1, "NO") && is(at + 2, "KEY") && is(at + 3, "UPDATE") {
            (at + 1..at + 3).for_each(drop);
        } else if is(at, "FOR") && is(at + 1, "KEY") && is(at + 2, "SHARE") {
            drop(at + 1);
        } else if begins_block && is(at, "DEFERRABLE") {
            drop(at);
            let mut before = at.wrapping_sub(1);
            if is(before, "NOT") {
                drop(before);
                before = before.wrapping_sub(1);
            }
            if places.get(before).is_some_and(|place| tokens[*place].token == Token::Comma) {
                drop(before);
            }
        }
    }
    for place in renamed {
        tokens[place].token = Token::make_word("ROLLBACK", None);
    }
    Respelled { tokens: without(tokens, &dropped, &expanded), overriding }
}

/// True for a text with FOR SYSTEM_TIME in it.
pub fn says_system_time(tokens: &[TokenWithSpan]) -> bool {
    let words = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let words: Vec<Option<&str>> = words.map(|token| plain_word(&token.token)).collect();
    let is =
        |word: Option<&str>, wanted: &str| word.is_some_and(|w| w.eq_ignore_ascii_case(wanted));
    words.windows(2).any(|pair| is(pair[0], "FOR") && is(pair[1], "SYSTEM_TIME"))
}

/// `j->-1`, `n>=-3`: no operator of these characters ends with a sign; the sign begins a number.
fn part_signs(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 0;
    while at < tokens.len() {
        if let Some((operator, signs)) = without_signs(&tokens[at].token) {
            let span = tokens[at].span;
            let count = signs.len();
            let signs = signs.into_iter().map(|sign| TokenWithSpan::new(sign, span));
            tokens.splice(at..=at, [TokenWithSpan::new(operator, span)].into_iter().chain(signs));
            at += count;
        }
        at += 1;
    }
}

/// An operator that sqlparser has read together with the signs after it, and these signs. An operator that has one of
/// ``~!@#%^&|`?`` may end with a sign, as in PostgreSQL.
fn without_signs(token: &Token) -> Option<(Token, Vec<Token>)> {
    let Token::CustomBinaryOperator(operator) = token else { return None };
    // The first character is an operator's in any case.
    let first = operator.chars().next()?.len_utf8();
    let bare = &operator[..first.max(operator.trim_end_matches(['+', '-']).len())];
    let known = match bare {
        "-" => Token::Minus,
        "->" => Token::Arrow,
        "->>" => Token::LongArrow,
        "<" => Token::Lt,
        "<=" => Token::LtEq,
        "<>" => Token::Neq,
        "<<" => Token::ShiftLeft,
        ">" => Token::Gt,
        ">=" => Token::GtEq,
        ">>" => Token::ShiftRight,
        _ => return None,
    };
    let sign = |sign| if sign == '-' { Token::Minus } else { Token::Plus };
    let signs: Vec<Token> = operator[bare.len()..].chars().map(sign).collect();
    (!signs.is_empty()).then_some((known, signs))
}

/// `(…).*`: sqlparser reads a field of an expression, and `*` after names only.
fn name_all_fields(tokens: &mut [TokenWithSpan], places: &[usize]) {
    for three in places.windows(3) {
        let [bracket, period, star] = *three else { continue };
        if tokens[bracket].token == Token::RParen
            && tokens[period].token == Token::Period
            && tokens[star].token == Token::Mul
        {
            tokens[star].token = Token::make_word("*", Some('"'));
        }
    }
}

/// `'a'` and, on a later line, `'b'`: the string `'ab'`.
fn join_strings(tokens: &mut [TokenWithSpan], places: &[usize], dropped: &mut [bool]) {
    let mut first = None;
    for pair in places.windows(2) {
        let [left, right] = *pair else { continue };
        let text = |place: usize| match &tokens[place].token {
            Token::SingleQuotedString(text) => Some(text),
            _ => None,
        };
        let (Some(_), Some(more)) = (text(left), text(right)) else {
            first = None;
            continue;
        };
        let ends_line = |token: &TokenWithSpan| {
            matches!(
                token.token,
                Token::Whitespace(Whitespace::Newline | Whitespace::SingleLineComment { .. })
            )
        };
        if !tokens[left..right].iter().any(ends_line) {
            first = None;
            continue;
        }
        let (more, first) = (more.clone(), *first.get_or_insert(left));
        if let Token::SingleQuotedString(text) = &mut tokens[first].token {
            text.push_str(&more);
        }
        dropped[right] = true;
    }
}

/// The tokens but for those that are dropped, with `TABLE` spelt `SELECT * FROM` where it is to be expanded.
fn without(tokens: Vec<TokenWithSpan>, dropped: &[bool], expanded: &[usize]) -> Vec<TokenWithSpan> {
    let mut kept = Vec::with_capacity(tokens.len());
    for (place, token) in tokens.into_iter().enumerate() {
        if dropped[place] {
            continue;
        }
        if expanded.contains(&place) {
            let blank = Token::Whitespace(Whitespace::Space);
            let words = [
                Token::make_keyword("SELECT"),
                blank.clone(),
                Token::Mul,
                blank,
                Token::make_keyword("FROM"),
            ];
            kept.extend(words.map(|word| TokenWithSpan::new(word, token.span)));
            continue;
        }
        kept.push(token);
    }
    kept
}

/// Where the operator of `OPERATOR(pg_catalog.=) ANY (…)` is, which sqlparser reads before other operands only.
fn quantified_operator(tokens: &[TokenWithSpan], places: &[usize], at: usize) -> Option<usize> {
    let token = |n: usize| places.get(n).map(|place| &tokens[*place].token);
    let word = |n: usize| token(n).and_then(plain_word).map(str::to_ascii_uppercase);
    if word(at).as_deref() != Some("OPERATOR") || token(at + 1) != Some(&Token::LParen) {
        return None;
    }
    let qualified =
        word(at + 2).as_deref() == Some("PG_CATALOG") && token(at + 3) == Some(&Token::Period);
    let operator = if qualified { at + 4 } else { at + 2 };
    let quantified = matches!(word(operator + 2).as_deref(), Some("ANY" | "ALL" | "SOME"));
    (token(operator + 1) == Some(&Token::RParen) && quantified).then_some(operator)
}

/// True for FROM in `trim(LEADING FROM text)`, which says nothing.
fn is_trim(tokens: &[TokenWithSpan], places: &[usize], at: usize) -> bool {
    let word = plain_word(&tokens[places[at - 1]].token).map(str::to_ascii_uppercase);
    matches!(word.as_deref(), Some("BOTH" | "LEADING" | "TRAILING"))
        && tokens[places[at - 2]].token == Token::LParen
}

/// True where TABLE begins a query: `TABLE t` is `SELECT * FROM t`.
fn is_query(tokens: &[TokenWithSpan], places: &[usize], at: usize, inserts: bool) -> bool {
    let token = |n: usize| places.get(n).map(|place| &tokens[*place].token);
    let word = |n: usize| token(n).and_then(plain_word).map(str::to_ascii_uppercase);
    if !matches!(token(at + 1), Some(Token::Word(_))) {
        return false;
    }
    let Some(before) = at.checked_sub(1) else { return true };
    let is_set = |n: usize| matches!(word(n).as_deref(), Some("UNION" | "INTERSECT" | "EXCEPT"));
    match (token(before), word(before).as_deref()) {
        (Some(Token::SemiColon | Token::LParen), _) => true,
        (_, Some("ALL" | "DISTINCT")) => before.checked_sub(1).is_some_and(is_set),
        (_, Some("INTO")) => false,
        (_, Some(_)) if is_set(before) => true,
        (Some(Token::RParen | Token::Word(_)), _) => inserts,
        _ => false,
    }
}

pub(super) fn plain_word(token: &Token) -> Option<&str> {
    match token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value),
        _ => None,
    }
}
