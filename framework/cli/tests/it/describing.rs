//! `describe`: what a connector can do, in words and as JSON.

use crate::shop::Shop;

const BARE: &str = "connector: bare
vars: { token: { secret: true, doc: From the account's settings } }
http: { base_url: \"https://bare.example\", auth: { bearer: \"${token}\" } }
resources:
  things: { params: [shop], id: $.id, list: \"GET /{shop}/things\", get: \"GET /{shop}/things/{id}\" }
";

#[tokio::test]
async fn every_ability_is_told_with_what_follows() {
    let shop = Shop::new().await;
    let told = shop.run(&["describe", "stripe", "customers"]).await.ended(0).out;
    insta::assert_snapshot!("stripe_customers", told);
    shop.write("mappings/bare.yaml", BARE);
    let told = shop.run(&["describe", "bare", "things"]).await.ended(0).out;
    insta::assert_snapshot!("a_bare_list", told);
}

const NAMES: &str = "
connector: pipe
http: { base_url: https://pipe.example }
lists: { items: $.data }
resources:
  stages: { id: $.id, list: GET /stages }
  deals:
    id: $.id
    get: GET /deals/{id}
    lookups: { $.stage: { from: $.stage_id, resource: stages, name: $.label } }
";

#[tokio::test]
async fn names_for_ids_are_told() {
    let shop = Shop::new().await;
    shop.write("mappings/pipe.yaml", NAMES);
    let told = shop.run(&["describe", "pipe", "deals"]).await.ended(0).out;
    let line = "$.stage is the name ($.label) that the list `stages` has for $.stage_id";
    assert!(told.lines().any(|said| said == line), "{told}");
    let told = shop.run(&["describe", "pipe", "deals", "--format", "json"]).await.ended(0).json();
    assert_eq!(told["resources"][0]["lookups"][0]["resource"], "stages");
}

#[tokio::test]
async fn it_is_the_same_as_json_and_needs_no_documents() {
    let shop = Shop::new().await;
    let told =
        shop.run(&["describe", "stripe", "--mappings", "nowhere", "--format", "json"]).await.ended(0).json();
    let abilities = told["resources"][0]["abilities"].as_array().expect("a list");
    let delete = abilities.iter().find(|one| one["name"] == "delete").expect("told");
    assert_eq!((&delete["there"], &delete["how"]), (&true.into(), &"for good".into()));
    let setting = &told["settings"][1];
    assert_eq!((&setting["variable"], &setting["secret"]), (&"STRIPE_API_KEY".into(), &true.into()));
}

/// Of several ways to prove who is calling one is enough.
#[tokio::test]
async fn one_way_in_is_no_setting_that_is_needed() {
    let shop = Shop::new().await;
    let told = shop.run(&["describe", "salesforce"]).await.ended(0).out;
    let line = |name: &str| told.lines().find(|line| line.starts_with(name)).expect("told").to_owned();
    assert!(line("SALESFORCE_REFRESH_TOKEN").contains("one way in"), "{told}");
    assert!(line("SALESFORCE_CLIENT_ID").contains("needed"), "{told}");
    let told = shop.run(&["describe", "salesforce", "--format", "json"]).await.ended(0).json();
    let settings = told["settings"].as_array().expect("a list");
    let said =
        |name: &str| settings.iter().find(|one| one["name"] == name).expect("told")["one_way_in"].clone();
    assert_eq!((said("refresh_token"), said("client_id")), (true.into(), false.into()));
}

#[tokio::test]
async fn a_wrong_name_is_said_with_the_nearest() {
    let shop = Shop::new().await;
    let ran = shop.run(&["describe", "strip"]).await.ended(1);
    assert!(ran.err.contains("did you mean `stripe`?") && ran.out.is_empty(), "{ran:?}");
    let ran = shop.run(&["describe", "stripe", "custmers"]).await.ended(1);
    assert!(ran.err.contains("did you mean `customers`?"), "{ran:?}");
}
