"""The registry client: pull and push images by the distribution API, small and synchronous.

    hosts         which addresses stand for a registry, and how they are trusted
    settings      where that is written: a configuration file, registries.conf, the environment
    credentials   who we are there: the session's, configuration files, credential helpers
    auth          challenges and tokens
    transport     HTTP/1.1 over kept connections; knows nothing of registries
    retry         what is tried again, when, and how long in all
    client        one request: endpoint, authorization, redirects, retries, errors
    images        references become manifests and configs, every byte of them verified
    blobs         layers: several at a time, resumed, each once

Everything here blocks and is called from threads. Nothing is imported before an image of a
registry is asked for. The layers above see `client.Client` and errors of `engine.errors`.

Source: OCI distribution-spec; distribution's docs/spec/auth (token, oauth2).
"""
