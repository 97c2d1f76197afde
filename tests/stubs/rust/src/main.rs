//! Takes a container through its life over the stubs that are generated from `protos/`.
//!
//!     stub ADDRESS USERNAME IMAGE NAME
//!
//! The password is in `PROA_PASSWORD`.

use std::{env, error::Error};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use proa::v1::{
    ChangeType, ContainerSpec, CreateContainerRequest, CreateTokenRequest, DeleteResourceRequest,
    ListResourcesRequest, ResourceChange, ResourceFilter, ResourceState, StartResourceRequest,
    WatchResourcesRequest, auth_service_client::AuthServiceClient,
    container_service_client::ContainerServiceClient,
    resource_service_client::ResourceServiceClient, watch_event::Event,
};

mod proa {
    pub mod v1 {
        tonic::include_proto!("proa.v1");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, username, image, name] = arguments.as_slice() else {
        return Err("usage: stub ADDRESS USERNAME IMAGE NAME".into());
    };
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let login = CreateTokenRequest {
        username: username.clone(),
        password: env::var("PROA_PASSWORD")?,
        ..Default::default()
    };
    let token = AuthServiceClient::new(channel.clone())
        .create_token(login)
        .await?
        .into_inner()
        .token;
    let bearer: MetadataValue<Ascii> = format!("Bearer {token}").parse()?;
    let authorize = move |mut request: Request<()>| {
        request
            .metadata_mut()
            .insert("authorization", bearer.clone());
        Ok(request)
    };
    let mut resources = ResourceServiceClient::with_interceptor(channel.clone(), authorize.clone());
    let mut containers = ContainerServiceClient::with_interceptor(channel, authorize);

    let list = resources
        .list_resources(ListResourcesRequest::default())
        .await?
        .into_inner();
    println!("listed {}", list.resources.len());

    containers
        .create_container(CreateContainerRequest {
            spec: Some(ContainerSpec {
                image: image.clone(),
                name: name.clone(),
                command: vec!["sleep".into(), "600".into()],
                ..Default::default()
            }),
            start: true,
            ..Default::default()
        })
        .await?;
    let mut watch = WatchResourcesRequest {
        filter: Some(ResourceFilter {
            name_prefix: name.clone(),
            ..Default::default()
        }),
        ..Default::default()
    };
    watch.resume_token = wait_until(&mut resources, watch.clone(), |change| {
        change
            .resource
            .as_ref()
            .is_some_and(|resource| resource.state() == ResourceState::Running)
    })
    .await?;
    println!("running {name}");

    let start = StartResourceRequest {
        id: name.clone(),
        ..Default::default()
    };
    let status = resources
        .start_resource(start)
        .await
        .expect_err("the container runs already");
    let info = status
        .get_details_error_info()
        .ok_or("the error has no ErrorInfo")?;
    println!("refused {} {}", info.domain, info.reason);

    // Nobody watches during the delete: the resumed watch tells of it all the same.
    resources
        .delete_resource(DeleteResourceRequest {
            id: name.clone(),
            force: true,
            ..Default::default()
        })
        .await?;
    wait_until(&mut resources, watch, |change| {
        change.r#type() == ChangeType::Removed
    })
    .await?;
    println!("removed {name}");
    Ok(())
}

/// Watches until the initial state is complete and a change is the wanted one. Returns the token
/// to resume the watch after it.
async fn wait_until<I>(
    resources: &mut ResourceServiceClient<InterceptedService<Channel, I>>,
    request: WatchResourcesRequest,
    wanted: impl Fn(&ResourceChange) -> bool,
) -> Result<String, Status>
where
    I: tonic::service::Interceptor,
{
    let mut watch = resources.watch_resources(request).await?.into_inner();
    let mut seen = false;
    while let Some(response) = watch.message().await? {
        seen |= response
            .events
            .iter()
            .any(|event| matches!(&event.event, Some(Event::Change(change)) if wanted(change)));
        if seen && !response.resume_token.is_empty() {
            return Ok(response.resume_token);
        }
    }
    Err(Status::unavailable("the watch ended"))
}
