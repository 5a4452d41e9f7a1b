"""Idempotency keys, and what the official library does about failures."""

import unittest

import stripe

from sandbox import client, fired, fresh, inject, steer

customers = client().v1.customers
CREATES = {"method": "POST", "path": "/v1/customers"}


def count_by_email(email):
    return len(customers.list({"email": email}).data)


class Retries(unittest.TestCase):
    def test_a_repeated_key_gives_the_first_answer_again(self):
        params, options = {"email": fresh(), "name": "Ann"}, {"idempotency_key": fresh("key")}
        first = customers.create(params, options)
        customers.update(first.id, {"name": "Eve"})
        again = customers.create(params, options)
        self.assertEqual(again.to_dict(), first.to_dict())
        self.assertEqual(again.last_response.headers["Idempotent-Replayed"], "true")
        self.assertEqual(count_by_email(params["email"]), 1)
        with self.assertRaises(stripe.IdempotencyError) as refused:
            customers.create({**params, "name": "Zoe"}, options)
        self.assertEqual(refused.exception.http_status, 400)

    def test_a_key_is_new_again_after_a_day(self):
        params, options = {"email": fresh()}, {"idempotency_key": fresh("key")}
        first = customers.create(params, options)
        steer("POST", "/clock", {"advance_ms": 24 * 3_600_000})
        self.assertNotEqual(customers.create(params, options).id, first.id)
        steer("POST", "/clock", {"offset_ms": 0})

    def test_a_lock_timeout_is_retried_by_the_library_a_rate_limit_is_not(self):
        patient = client(max_network_retries=2).v1.customers
        email, before = fresh(), fired("lock_timeout429")
        inject({"kind": "lock_timeout429"}, **CREATES)
        inject({"kind": "key_in_use409"}, **CREATES)
        patient.create({"email": email})
        self.assertEqual(fired("lock_timeout429"), before + 1)
        self.assertEqual(count_by_email(email), 1)
        inject({"kind": "rate_limited429", "retry_after": 3}, **CREATES)
        with self.assertRaises(stripe.RateLimitError) as refused:
            patient.create({"email": email})
        self.assertEqual(refused.exception.headers["Retry-After"], "3")
        self.assertEqual(count_by_email(email), 1)

    def test_the_rate_limiter_itself_answers_429(self):
        steer("POST", "/rate_limit", {"per_second": 0.001, "burst": 1})
        try:
            customers.list({"limit": 1})
            with self.assertRaises(stripe.RateLimitError):
                customers.list({"limit": 1})
        finally:
            steer("POST", "/rate_limit", None)

    def test_a_lost_answer_is_repeated_under_one_key_and_makes_one_customer(self):
        email, before = fresh(), fired("lost_answer")
        inject({"kind": "lost_answer"}, **CREATES)
        made = client(max_network_retries=1).v1.customers.create({"email": email})
        self.assertEqual(made.last_response.headers["Idempotent-Replayed"], "true")
        self.assertEqual(fired("lost_answer"), before + 1)
        self.assertEqual(count_by_email(email), 1)

    def test_a_saved_500_is_given_again_and_not_retried(self):
        email, key = fresh(), fresh("key")
        inject({"kind": "saved_error500", "executed": True}, **CREATES)
        with self.assertRaises(stripe.APIError):
            customers.create({"email": email}, {"idempotency_key": key})
        before = steer("GET", "/state")["requests"]["replays"]
        with self.assertRaises(stripe.APIError) as refused:
            client(max_network_retries=2).v1.customers.create({"email": email}, {"idempotency_key": key})
        self.assertEqual(refused.exception.headers["Stripe-Should-Retry"], "false")
        self.assertEqual(steer("GET", "/state")["requests"]["replays"], before + 1)
        self.assertEqual(count_by_email(email), 1)

    def test_a_dropped_connection_and_a_403_become_the_librarys_errors(self):
        inject({"kind": "lost_request"}, **CREATES)
        with self.assertRaises(stripe.APIConnectionError):
            customers.create({})
        inject({"kind": "forbidden403"}, **CREATES)
        with self.assertRaises(stripe.PermissionError):
            customers.create({})
