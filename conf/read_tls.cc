// "tls" of a listener: certificates and their keys. "client_ca" of an [[api]].
#include <openssl/ssl.h>

#include <memory>
#include <tuple>

#include "conf/certificate.h"
#include "conf/files.h"
#include "conf/read.h"

namespace holdfast::conf {
namespace {

constexpr size_t kMaxPem = 256 * kKiB;

std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> scratch_context() {
  return {SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
}

// The optional path of a PEM file, and what the file holds. False: not there, or wrong.
bool read_pem(Table& table, std::string_view key, const Reading& reading, std::string& file,
              std::string& contents) {
  if (!table.text(key, file)) return false;
  file = reading.resolve(file);
  Result<WholeFile> read = read_whole(file, kMaxPem);
  if (read) {
    contents = std::move(read->text);
  } else {
    table.wrong(key, read.error().text(), "a readable PEM file");
  }
  return bool(read);
}

void read_certificate(Table& table, std::vector<Certificate>& out, const Reading& reading) {
  Certificate certificate;
  bool all = true;
  for (const auto& [key, file, contents] :
       {std::tuple("certificate", &certificate.chain_file, &certificate.chain),
        std::tuple("key", &certificate.key_file, &certificate.key)}) {
    if (!table.has(key)) table.missing(key, "the path of a PEM file");
    all &= read_pem(table, key, reading, *file, *contents);
  }
  table.finish();
  if (!all) return;
  if (Result<void> used = use_certificate(scratch_context().get(), certificate); !used)
    table.wrong("certificate", used.error().text(),
                "a chain of certificates, the server's first, and \"key\" without a pass phrase");
  out.push_back(std::move(certificate));
}

}  // namespace

void read_tls(Table& table, std::vector<Certificate>& out, const Reading& reading) {
  if (!table.has("tls")) return;
  for (Table& item : table.tables("tls", "tls = [{ certificate = \"FILE\", key = \"FILE\" }]"))
    read_certificate(item, out, reading);
}

void read_tls_groups(Table& table, Server& server) {
  const Node* list = table.find("tls_groups");
  if (list == nullptr) return;
  std::string allowed =
      "names that OpenSSL knows, the server's choice first: \"X25519\", \"P-256\", \"P-384\" ...";
  std::vector<std::string> groups;
  std::vector<const Node*> items = table.texts("tls_groups");
  if (list->kind != Node::Kind::array || items.size() != list->items.size()) return;
  for (size_t i = 0; i < items.size(); ++i) {
    groups.push_back(items[i]->text);
    if (!use_groups(scratch_context().get(), {groups.back()}))
      return table.wrong_item("tls_groups", i, *items[i], "no group of TLS", std::move(allowed));
  }
  if (Result<void> used = use_groups(scratch_context().get(), groups); used) {
    server.tls_groups = std::move(groups);
  } else {
    table.wrong("tls_groups", used.error().text(), std::move(allowed));
  }
}

void read_client_ca(Table& table, Api& api, const Reading& reading) {
  if (!read_pem(table, "client_ca", reading, api.client_ca_file, api.client_ca)) return;
  if (!table.has("tls"))
    table.wrong("client_ca", "certificates are shown in TLS only", "\"tls\" beside it");
  if (Result<void> used = require_client_certificate(scratch_context().get(), api.client_ca); !used)
    table.wrong("client_ca", used.error().text(),
                "certificates in PEM of those who sign the clients'");
}

}  // namespace holdfast::conf
