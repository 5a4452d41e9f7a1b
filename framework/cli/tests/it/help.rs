//! What can be typed, as people read it.

use crate::shop::Shop;

#[tokio::test]
async fn the_verbs() {
    let help = Shop::new().await.run(&["-h"]).await.ended(0).out;
    insta::assert_snapshot!(help);
}

#[tokio::test]
async fn words_that_make_no_sense_could_not_run() {
    let shop = Shop::new().await;
    for args in [&[][..], &["nonsense"], &["parked", "resolve", "1"], &["status", "--format", "xml"]] {
        let ran = shop.run(args).await.ended(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{ran:?}");
    }
}

#[tokio::test]
async fn completions_are_for_the_shell_that_was_named() {
    let shop = Shop::new().await;
    let script = shop.run(&["completions", "bash"]).await.ended(0).out;
    assert!(script.contains("_bothways()") && script.contains("explain-code"));
    shop.run(&["completions", "cmd.exe"]).await.ended(2);
}
