import AirBus
import ArgumentParser
import Foundation
import Lab
import Tracking

/// A failure with its exit code (sysexits) and a message that names what, where and what to do.
///
/// Every command throws one for whatever goes wrong after its arguments have been read; `Han.main`
/// prints `han: MESSAGE` on standard error and exits with the code.
struct Failure: Error {
    enum Code: Int32 {
        /// A run or a check whose verdict is "failed".
        case verdict = 1
        /// Arguments that do not fit together.
        case usage = 64
        /// A broken image, profile, scenario or manifest.
        case data = 65
        /// A named file that does not exist.
        case missing = 66
        /// Something needed is not there.
        case unavailable = 69
        /// Reading or writing failed.
        case io = 74
        /// A missing or unsafe setting.
        case setting = 78
    }

    var code: Code
    var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: FileError) {
        switch error {
        case .missing: code = .missing
        case .tooLarge, .unfit: code = .data
        case .isFolder, .isNoFile, .silentPipe, .unreadable, .unwritable: code = .io
        }
        message = error.description
    }

    init(_ error: YAMLError) {
        self.init(.data, error.description)
    }

    init(_ error: ManifestError) {
        switch error {
        case .file(let error): self.init(error)
        case .content(let error): self.init(error)
        }
    }

    init(_ error: InstallationError) {
        switch error {
        case .wrongHome: code = .setting
        case .notFound: code = .unavailable
        }
        message = error.description
    }

    init(_ error: StoreError) {
        switch error.kind {
        case .missing: code = .missing
        case .foreign, .newer, .older, .damaged, .badRow: code = .data
        case .inUse, .busy: code = .unavailable
        case .isFolder, .denied, .full, .readOnly, .failed: code = .io
        }
        message = error.description
    }

    /// With `code`, unless a setting is what is wrong.
    init(_ error: ChildError, else code: Code) {
        self.init(error.isSetting ? .setting : code, error.description)
    }

    /// Prints the message and ends the program with the code.
    func exit() -> Never {
        Terminal(descriptor: STDERR_FILENO).write("han: \(message)\n")
        Foundation.exit(code.rawValue)
    }

    /// Runs `body`, turning the errors of Lab into failures.
    static func converting<T>(_ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch let error as FileError {
            throw Failure(error)
        } catch let error as YAMLError {
            throw Failure(error)
        } catch let error as ManifestError {
            throw Failure(error)
        } catch let error as InstallationError {
            throw Failure(error)
        } catch let error as ControlError {
            throw Failure(error)
        } catch let error as EndpointError {
            throw Failure(.setting, error.description)
        } catch let error as SocketError {
            throw Failure(.unavailable, error.description)
        } catch let error as ChildError {
            throw Failure(error, else: .unavailable)
        } catch let error as StoreError {
            throw Failure(error)
        } catch let error as KeyFileError {
            throw Failure(.setting, error.description)
        } catch let error as CredentialError {
            throw Failure(error.kind == .content ? .data : .usage, error.description)
        }
    }
}
