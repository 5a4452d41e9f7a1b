"""The sandbox Salesforce, as simple-salesforce sees it."""

import datetime
import unittest
from urllib.parse import quote, urlsplit

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce, SalesforceLogin
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)
from simple_salesforce.util import Usage

from sandbox import BASE, fresh, steer

KEYS = {"consumer_key": "bothways_app", "consumer_secret": "bothways_app_secret"}


class ToSandbox(HTTPAdapter):
    """The library insists on https and on salesforce.com: sends what it asks for to the sandbox."""

    def send(self, request, **kwargs):
        url = urlsplit(request.url)
        request.url = BASE + url._replace(scheme="", netloc="").geturl()
        return super().send(request, **kwargs)


def session():
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", ToSandbox())
    return made


def settings(**changes):
    steer("POST", "/salesforce/settings", changes)


def inject(action, **matcher):
    steer("POST", "/salesforce/faults", {**matcher, "action": action})


def by_hand(record, fields):
    return steer("POST", f"/salesforce/records/Contact/{record}", fields)


def error_of(refused):
    return refused.exception.content[0]["errorCode"]


settings(instance_url="https://" + urlsplit(BASE).netloc)
sf = Salesforce(**KEYS, domain="acme.my", version="62.0", session=session())


class Records(unittest.TestCase):
    def test_create_read_update_and_delete(self):
        made = sf.Contact.create({"LastName": " Öster ", "Email": "a@x.io"})
        self.assertEqual((made["success"], made["errors"], len(made["id"])), (True, [], 18))
        read = sf.Contact.get(made["id"])
        self.assertEqual((read["LastName"], read["attributes"]["type"], read["IsDeleted"]), ("Öster", "Contact", False))
        self.assertEqual(sf.Contact.update(made["id"][:15], {"Phone": "1"}), 204)
        self.assertEqual(sf.Contact.get(made["id"])["Phone"], "1")
        self.assertEqual(sf.Contact.delete(made["id"]), 204)
        for again in (sf.Contact.get, sf.Contact.delete):
            with self.assertRaises(SalesforceResourceNotFound) as refused:
                again(made["id"])
            self.assertEqual(error_of(refused), "ENTITY_IS_DELETED")

    def test_what_cannot_be_stored_is_refused(self):
        with self.assertRaises(SalesforceMalformedRequest) as refused:
            sf.Contact.create({"FirstName": "nameless"})
        self.assertEqual((error_of(refused), refused.exception.content[0]["fields"]), ("REQUIRED_FIELD_MISSING", ["LastName"]))
        with self.assertRaises(SalesforceMalformedRequest) as refused:
            sf.Contact.create({"LastName": "x", "AccountId": "001000000000000"})
        self.assertEqual(error_of(refused), "INVALID_CROSS_REFERENCE_KEY")

    def test_upsert_by_external_id(self):
        key = f"Bothways_Id__c/{quote(fresh('key'))}"
        self.assertEqual(sf.Account.upsert(key, {"Name": "Acme"}), 201)
        answer = sf.Account.upsert(key, {"Name": "Acme Inc"}, raw_response=True)
        self.assertEqual((answer.status_code, answer.json()["created"]), (200, False))
        field, value = key.split("/")
        found = sf.Account.get_by_custom_id(field, requests.utils.unquote(value))
        self.assertEqual((found["Name"], found["Id"]), ("Acme Inc", answer.json()["id"]))

    def test_several_records_with_one_external_id(self):
        value = fresh("shared")
        for name in ("One", "Two"):
            sf.Contact.create({"LastName": name, "Legacy_Key__c": value})
        with self.assertRaises(SalesforceMoreThanOneRecord) as refused:
            sf.Contact.upsert(f"Legacy_Key__c/{quote(value)}", {"LastName": "Three"})
        self.assertEqual(len(refused.exception.content), 2)
        names = sf.query(f"SELECT LastName FROM Contact WHERE Legacy_Key__c = '{value}' ORDER BY LastName")
        self.assertEqual([r["LastName"] for r in names["records"]], ["One", "Two"])

    def test_an_account_takes_its_contacts_with_it(self):
        account = sf.Account.create({"Name": "Acme"})["id"]
        contact = sf.Contact.create({"LastName": "Lee", "AccountId": account})["id"]
        sf.Account.delete(account)
        with self.assertRaises(SalesforceResourceNotFound):
            sf.Contact.get(contact)

    def test_a_duplicate_rule_is_passed_only_by_its_header(self):
        email = fresh()
        sf.Contact.create({"LastName": "Lee", "Email": email})
        settings(duplicate_rule="alert")
        try:
            with self.assertRaises(SalesforceMalformedRequest) as refused:
                sf.Contact.create({"LastName": "Li", "Email": email})
            self.assertEqual(error_of(refused), "DUPLICATES_DETECTED")
            header = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
            self.assertTrue(sf.Contact.create({"LastName": "Li", "Email": email}, headers=header)["success"])
        finally:
            settings(duplicate_rule="off")

    def test_accounts_can_be_written_conditionally(self):
        account = sf.Account.create({"Name": "Acme"})["id"]
        url = f"{sf.base_url}sobjects/Account/{account}"
        tag = sf.session.get(url, headers=sf.headers).headers["ETag"]
        sf.Account.update(account, {"Phone": "1"}, headers={"If-Match": tag})
        with self.assertRaises(SalesforceGeneralError) as refused:
            sf.Account.update(account, {"Phone": "2"}, headers={"If-Match": tag})
        self.assertEqual(refused.exception.status, 412)


class Queries(unittest.TestCase):
    def test_long_results_are_paged(self):
        title = fresh("title")
        records = [{"attributes": {"type": "Contact"}, "LastName": f"c{n:02}", "Title": title} for n in range(25)]
        results = sf.restful("composite/sobjects", method="POST", json={"records": records})
        self.assertTrue(all(result["success"] for result in results))
        settings(page_size=10)
        try:
            query = f"SELECT Id, LastName FROM Contact WHERE Title = '{title}' ORDER BY LastName"
            self.assertEqual(len(sf.query(query)["records"]), 10)
            found = sf.query_all(query)["records"]
        finally:
            settings(page_size=2000)
        self.assertEqual([r["Id"] for r in found], [r["id"] for r in results])

    def test_queries_that_are_none_are_refused(self):
        for query, code in (
            ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
            ("SELECT Nope FROM Contact", "INVALID_FIELD"),
            ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ):
            with self.assertRaises(SalesforceMalformedRequest) as refused:
                sf.query(query)
            self.assertEqual(error_of(refused), code)

    def test_deleted_records_are_found_three_ways(self):
        gone = sf.Contact.create({"LastName": "gone"})["id"]
        sf.Contact.delete(gone)
        query = f"SELECT IsDeleted FROM Contact WHERE Id = '{gone}'"
        self.assertEqual(sf.query(query)["totalSize"], 0)
        self.assertIs(sf.query(query, include_deleted=True)["records"][0]["IsDeleted"], True)
        steer("POST", "/clock", {"advance_ms": 120_000})
        try:
            end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=2)
            got = sf.Contact.deleted(end - datetime.timedelta(minutes=10), end)
            self.assertIn(gone, [record["id"] for record in got["deletedRecords"]])
            self.assertLessEqual(got["earliestDateAvailable"], got["latestDateCovered"])
        finally:
            steer("POST", "/clock", {"offset_ms": 0})
        with self.assertRaises(SalesforceMalformedRequest) as refused:
            sf.Contact.updated(end - datetime.timedelta(days=31), end)
        self.assertEqual(error_of(refused), "INVALID_REPLICATION_DATE")

    def test_a_field_that_is_hidden_is_unknown(self):
        contact = sf.Contact.create({"LastName": "Lee", "Phone": "1"})["id"]
        inject({"kind": "hidden_field", "field": "Phone"}, times=2)
        self.assertNotIn("Phone", sf.Contact.get(contact))
        with self.assertRaises(SalesforceMalformedRequest) as refused:
            sf.query("SELECT Phone FROM Contact")
        self.assertEqual(error_of(refused), "INVALID_FIELD")

    def test_what_a_person_does_is_seen(self):
        contact = sf.Contact.create({"LastName": "Lee"})["id"]
        before = sf.Contact.get(contact)["SystemModstamp"]
        steer("POST", "/clock", {"advance_ms": 5_000})
        try:
            by_hand(contact, {"Title": "VIP"})
            query = f"SELECT Title FROM Contact WHERE SystemModstamp > {before} AND Id = '{contact}'"
            self.assertEqual(sf.query(query)["records"][0]["Title"], "VIP")
        finally:
            steer("POST", "/clock", {"offset_ms": 0})

    def test_a_sandbox_says_that_it_is_one(self):
        self.assertIs(sf.is_sandbox(), True)
        names = [thing["name"] for thing in sf.describe()["sobjects"]]
        self.assertIn("Account", names)
        fields = {field["name"]: field for field in sf.Contact.describe()["fields"]}
        self.assertTrue(fields["Bothways_Id__c"]["externalId"])


class Sessions(unittest.TestCase):
    def test_an_assertion_opens_a_session(self):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        settings(jwt_public_key=public.decode())
        who = {"username": "sync@sandbox.example", "privatekey": private.decode(), "session": session()}
        token, instance = SalesforceLogin(consumer_key="bothways_app", domain="test", **who)
        other = Salesforce(instance=instance, session_id=token, version="62.0", session=session())
        self.assertEqual(other.query("SELECT Id FROM Organization")["totalSize"], 1)
        with self.assertRaises(SalesforceAuthenticationFailed):
            SalesforceLogin(consumer_key="bothways_app", domain="example", **who)

    def test_a_session_that_ended_is_opened_again_by_the_library(self):
        before = steer("GET", "/salesforce/state")["tokens_issued"]
        steer("DELETE", "/salesforce/sessions")
        self.assertEqual(sf.query("SELECT Id FROM Organization")["totalSize"], 1)
        self.assertEqual(steer("GET", "/salesforce/state")["tokens_issued"], before + 1)
        lost = Salesforce(instance_url=BASE, session_id="none", version="62.0", session=session())
        with self.assertRaises(SalesforceExpiredSession):
            lost.query("SELECT Id FROM Organization")

    def test_the_allowance_is_told_and_kept(self):
        sf.query("SELECT Id FROM Organization")
        used = sf.api_usage["api-usage"]
        self.assertEqual((type(used), used.total), (Usage, 100_000))
        settings(daily_requests=used.used + 1)
        try:
            sf.query("SELECT Id FROM Organization")
            with self.assertRaises(SalesforceRefusedRequest) as refused:
                sf.query("SELECT Id FROM Organization")
            self.assertEqual(error_of(refused), "REQUEST_LIMIT_EXCEEDED")
        finally:
            settings(daily_requests=100_000)

    def test_a_refused_secret_becomes_the_librarys_error(self):
        with self.assertRaises(SalesforceAuthenticationFailed):
            Salesforce(consumer_key="bothways_app", consumer_secret="no", domain="acme.my", session=session())
