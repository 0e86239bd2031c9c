"""What Envoy and instances say, as counters."""

from monitoring import parse

DOCUMENT = {
    "stats": [
        {"name": "cluster.churn__blue.upstream_rq_retry", "value": 3},
        {"name": "cluster.churn__blue.upstream_rq_total", "value": 99},
        {"name": "cluster.churn__green__mirror.upstream_rq_total", "value": 12},
        {"name": "studio.bytes_in.endpoint.churn.deployment.blue", "value": 6660},
        {"name": "studio.requests.endpoint.my-churn.deployment.blue.status.200", "value": 185},
        {"name": "studio.requests.endpoint.-.deployment.-.status.404", "value": 1},
        {"name": "studio.requests.endpoint.churn.deployment.green.status.500", "value": 0},
        {
            "histograms": {
                "supported_percentiles": [0, 50],
                "details": [
                    {
                        "name": "studio.latency.endpoint.churn.deployment.blue",
                        "totals": [
                            {"lower_bound": 819.9999999999999, "width": 10, "count": 2},
                            {"lower_bound": 1100, "width": 100, "count": 5},
                        ],
                        "intervals": [],
                    }
                ],
            }
        },
    ]
}


def test_envoys_counters_are_named_by_endpoint_and_deployment_and_zeros_are_left_out():
    assert parse.envoy_counters(DOCUMENT) == {
        "churn/blue/retries/": 3,
        "churn/green/mirrored/": 12,
        "churn/blue/bytes_in/": 6660,
        "my-churn/blue/status/200": 185,
        "-/-/status/404": 1,
        "churn/blue/latency/820": 2,
        "churn/blue/latency/1100": 5,
    }


def test_an_envoy_that_has_counted_nothing_is_no_error():
    assert parse.envoy_counters({"stats": []}) == {}


def test_an_instances_metrics_are_read_by_name_and_those_with_labels_are_left_out():
    text = '# HELP inference_soft_errors_total …\ninference_soft_errors_total 7\ninference_answers_total{class="2xx"} 9\nx 1e3\n'
    assert parse.plain_metrics(text) == {"inference_soft_errors_total": 7.0, "x": 1000.0}
