"""A Ray cluster on this machine in a process of its own: `python ray_cluster.py CPUS…`, a head without and a node each.

It prints the head's address, then the ids of its nodes. A line on standard input that is a node's number kills that
node as a machine that is switched off; `head` kills the head; its end ends all.
"""

import os
import sys

os.environ |= {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # with the nodes' addresses: nothing listens beyond loopback
    "RAY_memory_monitor_refresh_ms": "0",  # it would look at the whole machine
    "RAY_worker_niceness": "0",  # at 15, its own, a busy machine starves them
    "RAY_health_check_period_ms": "1000",  # one that was killed is known to be after five; a slow one is not
    "RAY_health_check_timeout_ms": "20000",
    "RAY_health_check_failure_threshold": "5",
}

from ray.cluster_utils import Cluster

PLACE = {"node_ip_address": "127.0.0.1", "object_store_memory": 78_643_200}


def main() -> None:
    """Start it, do as told, end it."""
    head = {**PLACE, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=int(count), **PLACE) for count in sys.argv[1:]]
    sys.stdout.write(f"cluster {cluster.address} {' '.join(node.node_id for node in nodes)}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        what = line.strip()
        if what == "head":
            cluster.head_node.kill_gcs_server(check_alive=False)
        elif what == "add":
            nodes.append(cluster.add_node(num_cpus=2, **PLACE))
        else:
            cluster.remove_node(nodes[int(what)], allow_graceful=False)
        sys.stdout.write("done\n")
        sys.stdout.flush()
    cluster.shutdown()


if __name__ == "__main__":
    main()
