import Crypto
import Foundation
import GBCS
import Lab
import Wire

extension FuzzTarget {
    /// Install codes, addresses and digits as people write them, and key files.
    static func keys(_ place: Place) -> [FuzzTarget] {
        [
            FuzzTarget("install-code", maximumLength: 96) {
                // libcrypto fetches its algorithms when they are first needed.
                _ = InstallCode([1, 2, 3, 4, 5, 6])?.linkKey
                return Prepared(
                    seeds: [
                        "94C0101F1FCBD17F97FB93F223AD3F991AA3", "83FED3407A939723A5C639B26916D505",
                    ]
                    .map { Array($0.utf8) }
                ) { bytes in
                    let text = String(decoding: bytes, as: UTF8.self)
                    do {
                        let code = try InstallCode(text: text)
                        _ = code.linkKey
                        guard try InstallCode(text: code.description) == code else {
                            found("'\(code)' is not read back the same")
                        }
                    } catch {
                        if "\(error)".utf8.count > 1000 { found("a message without end") }
                    }
                    _ = InstallCode(bytes)
                }
            },
            FuzzTarget("hexadecimal", maximumLength: 64) {
                Prepared(
                    seeds: ["00DB1234567890A4", "02-47-42-00-00-00-01-00"].map { Array($0.utf8) }
                ) { bytes in
                    let text = String(decoding: bytes, as: UTF8.self)
                    _ = Hex.bytes(text)
                    if let eui64 = EUI64(text), EUI64(eui64.description) != eui64 {
                        found("'\(eui64)' is not read back the same")
                    }
                    _ = Key128(bytes)
                    _ = Digest256(bytes)
                    _ = P256.Signature(bytes)
                }
            },
            FuzzTarget("credential-material", maximumLength: 700, briefRuns: 1_500) {
                let subject = EUI64(0x0247_4200_0001_0001)
                let own = TestAuthority(seed: Seed(1)).credentials(of: subject)
                func seed(_ own: CBKECredentials) -> [UInt8] {
                    let text = """
                        # A maker's listing
                        CA Public Key: \(Hex.string(own.authority.publicKey.bytes))
                        Device Implicit Cert:
                        \(Hex.string(own.certificate.bytes))
                        Device Private Key: \(Hex.string(own.privateKey))
                        """
                    return Array(text.utf8)
                }
                return Prepared(
                    seeds: own.establishment.map { seed($0) }
                        + own.establishment.map { $0.certificate.bytes }
                        + [Array("83FED3407A939723A5C639B26916D505C3B5\n".utf8)]
                ) { bytes in
                    // Each kind of file that is written by others.
                    for kind in 0..<5 {
                        var material = CredentialMaterial(of: subject)
                        do {
                            switch kind {
                            case 0: try material.addListing(bytes, path: "x")
                            case 1: try material.add(.certificate, file: bytes, path: "x")
                            case 2: try material.add(.privateKey, file: bytes, path: "x")
                            case 3: try material.add(.authorityKey, file: bytes, path: "x")
                            default: try material.add(installCode: bytes, path: "x")
                            }
                            let read = try material.credentials()
                            if read.isEmpty { found("nothing was taken for credentials") }
                        } catch {
                            if "\(error)".utf8.count > 1000 { found("a message without end") }
                        }
                    }
                }
            },
            keyFile(place, "certificate") { bytes throws(KeyError) in
                _ = try P256.PublicKey(certificate: bytes)
            },
            keyFile(place, "gbcs-certificate") { bytes throws(KeyError) in
                let certificate = try Certificate(bytes)
                var keys = KeyStore()
                keys.add(certificate)
            },
            keyFile(place, "public-key") { bytes throws(KeyError) in
                _ = try P256.PublicKey(spki: bytes)
            },
            keyFile(place, "private-key") { bytes throws(KeyError) in
                _ = try P256.PrivateKey(pkcs8: bytes)
            },
            keyFile(place, "key-file") { bytes throws(KeyError) in
                _ = try P256.PublicKey(any: bytes)
            },
            keyFile(place, "point") { bytes throws(KeyError) in _ = try P256.PublicKey(x963: bytes)
            },
        ]
    }

    private static func keyFile(
        _ place: Place, _ name: String,
        _ read: @escaping ([UInt8]) throws(KeyError) -> Void
    ) -> FuzzTarget {
        // libcrypto loads its decoders when it first needs them.
        FuzzTarget(
            name, maximumLength: 2048, briefRuns: 1_500,
            memory: MemoryLimit(base: 1 << 20, perByte: 256)
        ) {
            let key = key()
            let certificate = try Files.read(
                "\(place.root)/Firmware/keys/supplier-test.pem", limit: KeyFiles.maximumSize)
            let references = place.references(in: "", suffix: ".pem")
            let seeds =
                references + [
                    Array(key.pem.utf8), Array(key.publicKey.pem.utf8), key.publicKey.spki,
                    key.publicKey.x963, certificate, der(certificate),
                ]
            for seed in seeds { try? read(seed) }
            return Prepared(seeds: seeds) { bytes in
                do {
                    try read(bytes)
                } catch {
                    if "\(error)".utf8.count > 1000 { found("a message without end") }
                }
            }
        }
    }

    private static func der(_ pem: [UInt8]) -> [UInt8] {
        let lines = String(decoding: pem, as: UTF8.self).split(separator: "\n")
            .filter { !$0.hasPrefix("-----") }
        return Data(base64Encoded: lines.joined()).map { Array($0) } ?? []
    }
}
