import Crypto
import Foundation
import GBCS
import Lab
import TestSupport
import Testing
import Wire

@Suite("Certificates to message keys that follow from a seed")
struct MessageCertificateTests {
    static let suppliers = [MessageParties.supplier(1), MessageParties.supplier(2)]

    static func home() throws -> Home { try ProfileSamples.library.home("standard") }

    static func files(
        of home: Home, seed: Seed = Seed(1)
    ) -> [MessageCertificates.File] {
        MessageCertificates(seed: seed).files(of: home, suppliers: suppliers)
    }

    /// The key store that a folder with these files is.
    static func read(_ files: [MessageCertificates.File]) throws -> KeyStoreFolder {
        let folder = try TemporaryFolder()
        for file in files {
            try Data(file.bytes).write(to: folder.url.appending(path: file.name))
        }
        return try KeyStoreFolder(path: folder.path)
    }

    static func ids(of home: Home) -> [EUI64] {
        ([home.hub.chf, home.hub.eui64, MessageParties.broker] + home.devices.map(\.eui64)
            + suppliers).sorted()
    }

    @Test("are those of the keys that everybody has in a run of that seed")
    func keys() throws {
        let home = try Self.home()
        let store = try Self.read(Self.files(of: home))
        #expect(store.skipped == [])
        #expect(store.keys.ids == Self.ids(of: home))
        let parties = MessageParties(seed: Seed(1))
        for id in Self.ids(of: home) {
            #expect(store.keys.signingKeys(of: id) == [parties.signingKey(of: id).publicKey])
            #expect(store.keys.agreementKeys(of: id) == [parties.agreementKey(of: id).publicKey])
        }
        #expect(store.keys.accessControlBrokers == [MessageParties.broker])
        #expect(Self.suppliers.allSatisfy { store.keys.role(of: $0) == .supplier })
        #expect(home.devices.allSatisfy { store.keys.isDevice($0.eui64) })
    }

    @Test("have private keys beside them for suppliers alone, which are marked as secret")
    func secrets() throws {
        let home = try Self.home()
        let files = Self.files(of: home)
        #expect(Set(files.map(\.name)).count == files.count)
        #expect(files.allSatisfy { $0.isSecret == $0.name.hasSuffix(".key") })
        let store = try Self.read(files).keys
        for id in Self.ids(of: home) {
            let wanted = Self.suppliers.contains(id)
            #expect(store.privateSigningKeys(of: id).isEmpty != wanted)
            #expect(store.privateAgreementKeys(of: id).isEmpty != wanted)
        }
    }

    @Test("are the same to the byte each time, and others with another seed")
    func same() throws {
        let home = try Self.home()
        let files = Self.files(of: home)
        let again = Self.files(of: home)
        #expect(files.map(\.name) == again.map(\.name))
        #expect(files.map(\.bytes) == again.map(\.bytes))
        let others = Self.files(of: home, seed: Seed(2))
        #expect(others.map(\.name) == files.map(\.name))
        #expect(zip(files, others).allSatisfy { $0.bytes != $1.bytes })
    }

    @Test("are not made for keys that the home has been given")
    func given() throws {
        var home = try Self.home()
        let esme = try #require(home.devices.first).eui64
        var store = KeyStore()
        let parties = MessageParties(seed: Seed(9))
        for id in [esme, Self.suppliers[0]] {
            store.add(parties.signingKey(of: id), of: id, for: .signing)
            store.add(parties.agreementKey(of: id), of: id, for: .agreement)
        }
        _ = home.use(store)
        let read = try Self.read(Self.files(of: home))
        #expect(read.skipped == [])
        #expect(
            read.keys.ids
                == Self.ids(of: home).filter { $0 != esme && $0 != Self.suppliers[0] })
    }

    @Test("of which a half is there, or others' bytes, are named with what is wrong")
    func damaged() throws {
        let files = Self.files(of: try Self.home())
        for index in [0, files.count - 1] {
            for bytes in [
                Array(files[index].bytes.prefix(files[index].bytes.count / 2)), [],
                Array("no key at all".utf8), files[index].bytes.map { $0 ^ 0x55 },
            ] {
                var damaged = files
                damaged[index].bytes = bytes
                let read = try Self.read(damaged)
                #expect(read.skipped.count == 1, "\(read.skipped)")
                #expect(read.skipped.first?.hasPrefix("\(files[index].name): ") == true)
            }
        }
    }
}

@Suite("A folder of keys with a file that cannot be read")
struct UnreadableKeyTests {
    /// What also root cannot read: a folder, and a link to nothing.
    @Test(
        "is refused with that file's name and the reason",
        arguments: ["90b3d51f30010000-ds.pem", "90b3d51f30010000-ka.der", "root.crt"])
    func unreadable(name: String) throws {
        let folder = try TemporaryFolder()
        let path = folder.path(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let advice = "; mend that, or take it out of the folder"
        #expect(throws: FileError.unreadable(path, reason: "it is a folder" + advice)) {
            try KeyStoreFolder(path: folder.path)
        }
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createSymbolicLink(
            atPath: path, withDestinationPath: folder.path("nowhere"))
        #expect(throws: FileError.unreadable(path, reason: "it is a link to nothing" + advice)) {
            try KeyStoreFolder(path: folder.path)
        }
    }
}
