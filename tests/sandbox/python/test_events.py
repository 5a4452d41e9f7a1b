"""Events and webhooks, as the official library reads and verifies them."""

import unittest

import stripe

from sandbox import Receiver, client, fresh, inject, steer

v1 = client().v1


def events_of(customer):
    """The events about one customer, oldest first."""
    events = v1.events.list({"limit": 100}).auto_paging_iter()
    return [event for event in events if event.data.object["id"] == customer][::-1]


class Events(unittest.TestCase):
    def test_events_tell_what_changed_and_who_caused_it(self):
        made = v1.customers.create({"name": "Ann", "metadata": {"a": "1"}})
        key = fresh("key")
        v1.customers.update(made.id, {"name": "Eve", "metadata": {"b": "2"}}, {"idempotency_key": key})
        steer("POST", f"/customers/{made.id}", {"phone": "+49 1"})
        v1.customers.delete(made.id)
        created, by_api, by_hand, deleted = events_of(made.id)
        self.assertEqual((created.type, deleted.type), ("customer.created", "customer.deleted"))
        self.assertNotIn("previous_attributes", created.data)
        previous = by_api.data.previous_attributes
        self.assertEqual((previous["name"], previous["metadata"]["b"]), ("Ann", None))
        self.assertNotIn("a", previous["metadata"])
        self.assertEqual(by_api.request.idempotency_key, key)
        self.assertIsNone(by_hand.data.previous_attributes["phone"])
        self.assertIsNone(by_hand.request.id)
        self.assertEqual(v1.events.retrieve(by_api.id).to_dict(), by_api.to_dict())

    def test_the_feed_is_filtered_paged_and_kept_for_30_days(self):
        made = v1.customers.create({"name": "Ann"})
        created = events_of(made.id)[0]
        v1.customers.update(made.id, {"name": "Eve"})
        v1.customers.delete(made.id)

        def ours(params):
            return [e.type for e in v1.events.list(params).data if e.data.object["id"] == made.id]

        self.assertEqual(ours({"ending_before": created.id}), ["customer.deleted", "customer.updated"])
        types = ["customer.created", "customer.deleted"]
        self.assertEqual(ours({"types": types, "created": {"gte": created.created}}), types[::-1])
        steer("POST", "/clock", {"advance_ms": 31 * 86_400_000})
        with self.assertRaises(stripe.InvalidRequestError):
            v1.events.retrieve(created.id)
        self.assertEqual(v1.events.list().data, [])
        steer("POST", "/clock", {"offset_ms": 0})

    def test_webhook_endpoints_come_and_go(self):
        params = {"url": "http://127.0.0.1:9/hook", "enabled_events": ["customer.created"], "metadata": {"a": "1"}}
        made = v1.webhook_endpoints.create(params)
        self.assertRegex(made.secret, r"^whsec_")
        self.assertNotIn("secret", v1.webhook_endpoints.retrieve(made.id))
        changed = v1.webhook_endpoints.update(made.id, {"disabled": True, "enabled_events": ["*"]})
        self.assertEqual((changed.status, changed.enabled_events), ("disabled", ["*"]))
        self.assertIn(made.id, [e.id for e in v1.webhook_endpoints.list().data])
        self.assertIs(v1.webhook_endpoints.delete(made.id).deleted, True)
        with self.assertRaises(stripe.InvalidRequestError):
            v1.webhook_endpoints.retrieve(made.id)

    def test_deliveries_are_verified_repeated_and_signed_by_both_secrets_during_a_roll(self):
        with Receiver(500) as hooks:
            endpoint = v1.webhook_endpoints.create({"url": hooks.url, "enabled_events": ["customer.created"]})
            made = v1.customers.create({"name": "Ann"})
            body, signature = hooks.next()
            event = stripe.Webhook.construct_event(body, signature, endpoint.secret)
            self.assertEqual((event.type, event.data.object["id"]), ("customer.created", made.id))
            with self.assertRaises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(body + b" ", signature, endpoint.secret)
            again = stripe.Webhook.construct_event(*hooks.next(), endpoint.secret)
            self.assertEqual(again.id, event.id)

            roll = steer("POST", f"/webhook_endpoints/{endpoint.id}/roll", {"overlap_seconds": 3600})
            inject({"kind": "delivery_duplicated"})
            v1.customers.create({"name": "Eve"})
            one = stripe.Webhook.construct_event(*hooks.next(), endpoint.secret)
            body, signature = hooks.next()
            two = stripe.Webhook.construct_event(body, signature, roll["secret"])
            self.assertEqual(one.id, two.id)
            with self.assertRaises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(body, signature, "whsec_other")
            v1.webhook_endpoints.delete(endpoint.id)
