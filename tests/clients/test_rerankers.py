"""The rerank routes under Cohere's own client, and under the Jina, Cohere and text-embeddings-inference clients of the
library rerankers."""

import cohere
import pytest
from rerankers.documents import Document
from rerankers.models.api_rankers import APIRanker

from conftest import KEY

TEXTS = ["x" * 3, "x" * 9, "x" * 6]  # the fake score is their length - that of the query / 100
QUERY, SCORES = "ab", [9 - 0.02, 6 - 0.02, 3 - 0.02]


def cohere_clients(server, key="unused"):
    return [cohere.ClientV2(key, base_url=server.url), cohere.Client(key, base_url=server.url)]


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_cohere(server, version):
    client = cohere_clients(server)[version == "v1"]
    reply = client.rerank(model="plumb", query=QUERY, documents=TEXTS, top_n=2)
    assert [(row.index, row.relevance_score) for row in reply.results] == [(1, SCORES[0]), (2, SCORES[1])]
    assert reply.id and reply.meta.api_version.version


def test_cohere_documents_come_back(server):
    _, client = cohere_clients(server)
    reply = client.rerank(model="plumb", query=QUERY, documents=TEXTS, return_documents=True)
    assert [row.document.text for row in reply.results] == [TEXTS[1], TEXTS[2], TEXTS[0]]


def test_cohere_errors(server, guarded):
    for client in cohere_clients(server):
        with pytest.raises(cohere.NotFoundError):
            client.rerank(model="gone", query=QUERY, documents=TEXTS)
    for client in cohere_clients(guarded, "wrong-key"):
        with pytest.raises(cohere.UnauthorizedError):
            client.rerank(model="fake", query=QUERY, documents=TEXTS)
    for client in cohere_clients(guarded, KEY):
        assert len(client.rerank(model="fake", query=QUERY, documents=TEXTS).results) == 3


def test_cohere_waits_for_a_server_that_loads(loading):
    client, _ = cohere_clients(loading)
    before = loading.refused()
    reply = client.rerank(model="plumb", query=QUERY, documents=TEXTS, request_options={"max_retries": 5})
    assert [row.relevance_score for row in reply.results] == SCORES
    assert loading.refused() > before


@pytest.mark.parametrize("provider, path", [
    ("jina", "/v1/rerank"), ("cohere", "/v1/rerank"), ("text-embeddings-inference", "/rerank")])
def test_rerankers(server, provider, path):
    ranker = APIRanker("plumb", "unused", provider, verbose=0, url=server.url + path)
    ranked = ranker.rank(QUERY, TEXTS)
    assert [result.document.text for result in ranked.results] == [TEXTS[1], TEXTS[2], TEXTS[0]]
    assert [result.score for result in ranked.results] == SCORES
    assert ranker.score(QUERY, Document(TEXTS[0])) == SCORES[2]
