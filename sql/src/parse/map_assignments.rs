//! `SET m['k'] = v` as `SET m = map_put(m, 'k', v)`.
//!
//! sqlparser reads no subscript where a column is assigned to. The binder knows the call for what it is, and qualifies
//! its first argument (`session/modify/set_list`).

use super::tokens::plain_word;
use crate::functions::map::PUT;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Respells the assignments to keys in the lists of SET.
pub(super) fn respell(tokens: &mut Vec<TokenWithSpan>) {
    let places: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let text = Text { tokens, places: &places };
    let found: Vec<Put> = (1..places.len())
        .filter(|at| text.is_word(*at, "SET") && text.token(at - 1) != Some(&Token::SemiColon))
        .flat_map(|at| text.puts(at + 1))
        .collect();
    // From the end: what comes before stays where it is.
    for Put { name, open, close, end } in found.into_iter().rev() {
        let span = tokens[open].span;
        let plain = |token: Token| TokenWithSpan::new(token, span);
        tokens.insert(end + 1, plain(Token::RParen));
        let equals = (close..=end).find(|at| tokens[*at].token == Token::Eq).unwrap_or(close);
        tokens[equals] = plain(Token::Comma);
        tokens.remove(close);
        let map = tokens[name].token.clone();
        let call = [Token::Eq, Token::make_word(PUT, None), Token::LParen, map, Token::Comma];
        tokens.splice(open..=open, call.map(plain));
    }
}

/// Where the tokens of an assignment to a key are.
struct Put {
    name: usize,
    open: usize,
    close: usize,
    /// The value's last token.
    end: usize,
}

struct Text<'a> {
    tokens: &'a [TokenWithSpan],
    /// The places of tokens that are no blanks.
    places: &'a [usize],
}

impl Text<'_> {
    fn token(&self, at: usize) -> Option<&Token> {
        self.places.get(at).map(|place| &self.tokens[*place].token)
    }

    fn is_word(&self, at: usize, wanted: &str) -> bool {
        let word = self.token(at).and_then(plain_word);
        word.is_some_and(|word| word.eq_ignore_ascii_case(wanted))
    }

    /// The assignments to keys in a list that starts here.
    fn puts(&self, start: usize) -> Vec<Put> {
        let mut found = Vec::new();
        let mut item = start;
        loop {
            let end = self.end_of_item(item);
            if let Some((open, close)) = self.subscript(item)
                && close + 2 < end
            {
                let [name, open, close, end] =
                    [item, open, close, end - 1].map(|at| self.places[at]);
                found.push(Put { name, open, close, end });
            }
            if self.token(end) != Some(&Token::Comma) {
                return found;
            }
            item = end + 1;
        }
    }

    /// The brackets in `name[…] =`.
    fn subscript(&self, at: usize) -> Option<(usize, usize)> {
        let is_named = matches!(self.token(at), Some(Token::Word(_)));
        (is_named && self.token(at + 1) == Some(&Token::LBracket)).then_some(())?;
        let mut depth = 0;
        let close = (at + 1..self.places.len()).find(|at| {
            match self.token(*at) {
                Some(Token::LBracket | Token::LParen) => depth += 1,
                Some(Token::RBracket | Token::RParen) => depth -= 1,
                _ => {}
            }
            depth == 0
        })?;
        (self.token(close + 1) == Some(&Token::Eq)).then_some((at + 1, close))
    }

    /// Where an item of the list ends: at a comma, or at what comes after the list.
    fn end_of_item(&self, start: usize) -> usize {
        let mut depth = 0_u32;
        for at in start..self.places.len() {
            match self.token(at) {
                Some(Token::LBracket | Token::LParen) => depth += 1,
                Some(Token::RBracket | Token::RParen) => match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => return at,
                },
                Some(Token::Comma | Token::SemiColon | Token::EOF) if depth == 0 => return at,
                Some(Token::Word(_)) if depth == 0 && at > start => {
                    let is_from = self.is_word(at, "FROM") && !self.is_word(at - 1, "DISTINCT");
                    if is_from || self.is_word(at, "WHERE") || self.is_word(at, "RETURNING") {
                        return at;
                    }
                }
                _ => {}
            }
        }
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    fn respelt(sql: &str) -> String {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
        let mut tokens = tokens.expect("tokens");
        respell(&mut tokens);
        let all: String = tokens.iter().map(|token| token.token.to_string()).collect();
        all.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn keys_are_put() {
        assert_eq!(
            respelt("UPDATE t SET a['k'] = v, n = 1, b[f(x, y)] = (1, 2) WHERE a['x'] = 'y'"),
            "UPDATE t SET a=map_put(a,'k' , v), n = 1, b=map_put(b,f(x, y) , (1, 2)) WHERE a['x'] = 'y'"
        );
        assert_eq!(
            respelt(
                "INSERT INTO t VALUES (1) ON CONFLICT (k) DO UPDATE SET m[$1]=m[$1]+1 RETURNING m"
            ),
            "INSERT INTO t VALUES (1) ON CONFLICT (k) DO UPDATE SET m=map_put(m,$1,m[$1]+1) RETURNING m"
        );
        assert_eq!(
            respelt("UPDATE t SET m['k'] = a IS DISTINCT FROM b FROM u; UPDATE t SET m[1] = 2"),
            "UPDATE t SET m=map_put(m,'k' , a IS DISTINCT FROM b )FROM u; UPDATE t SET m=map_put(m,1 , 2)"
                .replace(" )FROM", ") FROM")
        );
    }

    #[test]
    fn what_is_no_assignment_to_a_key_stays() {
        for same in [
            "UPDATE t SET a = b['k'], c = d[1]",
            "SET search_path = a, b",
            "UPDATE t SET (a, b) = (c[1], 2)",
            "ALTER TABLE t ALTER COLUMN c SET DEFAULT x[1]",
            "UPDATE t SET a[",
            "UPDATE t SET a['k'] =",
        ] {
            assert_eq!(respelt(same), same);
        }
    }
}
