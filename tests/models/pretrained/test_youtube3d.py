import jax
from flax import nnx

from mdepth_jax.models import build_model, default_config
from mdepth_jax.models.pretrained.naming import named_variables
from mdepth_jax.models.pretrained.youtube3d import encdecresnet


def test_every_tensor_has_its_published_name():
    config = default_config()
    config.update(encoder="resnet50", decoder="redweb", heads=0)
    model = nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))
    variables = named_variables(encdecresnet(model))
    assert len(variables) == len(jax.tree.leaves(nnx.state(model)))
    assert {
        "resnet_model.layer4.2.conv3.weight": (1, 1, 512, 2048),
        "feafu3.conv_trans_left.weight": (3, 3, 1024, 512),
        "feafu1.bn_trans_up.bias": (128,),
        "feafu2.resConv_down.conv1.weight": (3, 3, 256, 256),
        "feafu2.resConv_left.bn2.running_var": (256,),
        "ada_out.conv1.bias": (128,),
        "ada_out.conv2.weight": (3, 3, 128, 1),
    }.items() <= {name: variable.shape for name, variable in variables.items()}.items()
