//! A look over the tokens before the parser gets them.
//!
//! In: tokens. Refuses what the parser would understand and policies may not have (subqueries, placeholders), with a
//! better message, and what it would take too long over: it tries some forms twice, so nesting is bounded here.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{ExpressionErrors, MAX_BRACKET_DEPTH, narrow, single};

/// Refuses tokens that no expression of a policy has.
pub(super) fn scan(tokens: &[TokenWithSpan]) -> Result<(), ExpressionErrors> {
    let mut depth = 0_usize;
    let mut solid = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).peekable();
    while let Some(token) = solid.next() {
        let at = token.span.start;
        let refuse = |message: String, hint: &str| {
            let hint = (!hint.is_empty()).then(|| hint.to_owned());
            Err(single(narrow(at.line), narrow(at.column), message, hint))
        };
        match &token.token {
            Token::LParen | Token::LBracket => {
                depth += 1;
                if depth > MAX_BRACKET_DEPTH {
                    return refuse(format!("brackets are nested more than {MAX_BRACKET_DEPTH} deep"), "");
                }
            }
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Placeholder(text) => {
                return refuse(format!("`{text}` is a placeholder; write the value itself"), "");
            }
            Token::SemiColon => return refuse("`;` ends a statement; one expression is expected".to_owned(), ""),
            Token::LBrace | Token::RBrace => return refuse(format!("`{}` is not allowed", token.token), ""),
            Token::Word(word) if word.quote_style.is_none() => {
                let next = solid.peek().map(|token| &token.token);
                if let Some((message, hint)) = refused_word(word.keyword, next) {
                    return refuse(message.to_owned(), hint);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn refused_word(word: Keyword, next: Option<&Token>) -> Option<(&'static str, &'static str)> {
    match (word, next) {
        (Keyword::SELECT | Keyword::WITH | Keyword::VALUES, _) | (Keyword::EXISTS, Some(Token::LParen)) => {
            Some(("subqueries and statements are not allowed", "name a column of that name in double quotes"))
        }
        (Keyword::POSITION, Some(Token::LParen)) => {
            Some(("`position` is not on the list of functions", "use strpos(text, part)"))
        }
        (Keyword::OVERLAY | Keyword::CONVERT, Some(Token::LParen)) => {
            Some(("this function is not on the list of functions", "use substr and concat, or cast"))
        }
        (Keyword::ARRAY | Keyword::STRUCT, Some(Token::LParen | Token::LBracket | Token::Lt))
        | (Keyword::MAP, Some(Token::LParen)) => Some(("arrays, maps and structs cannot be made in an expression", "")),
        _ => None,
    }
}
