//! reqwest on rustls with the roots of rustls-native-certs: one call, and its answer as it came.

use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().collect();
    let answer = reqwest::blocking::Client::new()
        .post(&words[1])
        .header("authorization", "Bearer sk-test-000")
        .header("content-type", "application/json")
        .body(words[2].clone())
        .send()?;
    println!("{}", answer.text()?);
    Ok(())
}
