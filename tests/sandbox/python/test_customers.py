"""Customers, lists and errors, as the official library sees them."""

import time
import unittest

import stripe

from sandbox import client, fresh, steer

customers = client().v1.customers


class Customers(unittest.TestCase):
    def test_create_retrieve_and_update(self):
        email = fresh()
        made = customers.create(
            {
                "email": email,
                "name": "Ann Öster",
                "address": {"city": "Köln", "line1": "Domplatte 1+2 & 3"},
                "shipping": {"name": "Ann", "address": {"city": "Bonn"}},
                "preferred_locales": ["de", "en"],
                "invoice_settings": {"footer": "Danke", "custom_fields": [{"name": "PO", "value": "7"}]},
                "metadata": {"order id": "6735", "bothways": "u1"},
            }
        )
        self.assertRegex(made.id, r"^cus_[0-9A-Za-z]{14}$")
        self.assertIs(made.livemode, False)
        self.assertEqual(made.address.line1, "Domplatte 1+2 & 3")
        self.assertIsNone(made.address.state)
        self.assertEqual(made.preferred_locales, ["de", "en"])
        self.assertEqual(made.invoice_settings.custom_fields[0].value, "7")
        self.assertEqual(made.metadata["order id"], "6735")
        self.assertRegex(made.last_response.request_id, r"^req_")
        self.assertEqual(made.last_response.headers["Stripe-Version"], stripe.api_version)
        self.assertLess(abs(made.created - time.time()), 60)

        self.assertEqual(customers.retrieve(made.id).to_dict(), made.to_dict())
        changed = customers.update(made.id, {"name": "Eve", "email": ""})
        self.assertEqual(changed.name, "Eve")
        self.assertIsNone(changed.email)
        self.assertEqual(changed.shipping.address.city, "Bonn")

    def test_metadata_merges_removes_and_clears(self):
        made = customers.create({"metadata": {"a": "1", "b": "2"}})

        def after(params):
            return customers.update(made.id, params).metadata.to_dict()

        self.assertEqual(after({"metadata": {"b": "", "c": "3"}}), {"a": "1", "c": "3"})
        self.assertEqual(after({"phone": "1"}), {"a": "1", "c": "3"})
        self.assertEqual(after({"metadata": ""}), {})

    def test_deleted_customers(self):
        email = fresh()
        made = customers.create({"email": email})
        self.assertIs(customers.delete(made.id).deleted, True)
        gone = customers.retrieve(made.id)
        self.assertEqual(gone.to_dict(), {"id": made.id, "object": "customer", "deleted": True})
        self.assertEqual(customers.list({"email": email}).data, [])
        with self.assertRaises(stripe.InvalidRequestError) as refused:
            customers.update(made.id, {"name": "x"})
        self.assertEqual((refused.exception.http_status, refused.exception.code), (404, "resource_missing"))

    def test_lists_are_newest_first_and_page_automatically(self):
        email = fresh()
        expected = [customers.create({"email": email}).id for _ in range(25)][::-1]
        walked = [c.id for c in customers.list({"email": email, "limit": 10}).auto_paging_iter()]
        self.assertEqual(walked, expected)
        first = customers.list({"email": email})
        self.assertEqual((first.object, first.url, len(first.data)), ("list", "/v1/customers", 10))
        self.assertIs(first.has_more, True)
        newer = customers.list({"email": email, "limit": 10, "ending_before": expected[-1]})
        self.assertEqual([c.id for c in newer.data], expected[14:24])
        self.assertEqual([c.id for c in newer.auto_paging_iter()], expected[:-1][::-1])

    def test_email_is_matched_exactly(self):
        email = fresh("Case")
        made = customers.create({"email": email})
        self.assertEqual([c.id for c in customers.list({"email": email}).data], [made.id])
        self.assertEqual(customers.list({"email": email.lower()}).data, [])

    def test_created_filters(self):
        email = fresh()
        early = customers.create({"email": email})
        steer("POST", "/clock", {"advance_ms": 10_000})
        late = customers.create({"email": email})
        steer("POST", "/clock", {"offset_ms": 0})

        def ids(created):
            return [c.id for c in customers.list({"email": email, "created": created}).data]

        self.assertEqual(ids({"gte": late.created}), [late.id])
        self.assertEqual(ids({"gt": late.created}), [])
        self.assertEqual(ids({"lt": late.created}), [early.id])
        self.assertEqual(ids({"lte": late.created, "gt": early.created}), [late.id])
        self.assertEqual(ids(early.created), [early.id])

    def test_refusals_become_the_librarys_errors(self):
        with self.assertRaises(stripe.InvalidRequestError) as refused:
            customers.create({"colour": "red"})
        error = refused.exception
        self.assertEqual((error.http_status, error.code, error.param), (400, "parameter_unknown", "colour"))
        self.assertRegex(error.request_id, r"^req_")
        for act, param in [
            (lambda: customers.retrieve("cus_nope"), "id"),
            (lambda: customers.list({"limit": 101}), "limit"),
            (lambda: customers.list({"starting_after": "cus_nope"}), "starting_after"),
            (lambda: customers.create({"email": "nobody"}), "email"),
            (lambda: customers.create({"metadata": {"k" * 41: "v"}}), "metadata"),
        ]:
            with self.assertRaises(stripe.InvalidRequestError) as refused:
                act()
            self.assertEqual(refused.exception.param, param)
        with self.assertRaises(stripe.AuthenticationError):
            client("pk_test_wrong").v1.customers.list()

    def test_the_account_and_its_restricted_keys(self):
        account = client("rk_test_restricted").v1.accounts.retrieve_current()
        self.assertRegex(account.id, r"^acct_")
